"""generalized_, distance_ and complete_box_iou_loss against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

GENERALIZED = ns.generalized_box_iou_loss
DISTANCE = ns.distance_box_iou_loss
COMPLETE = ns.complete_box_iou_loss
LOSSES = GENERALIZED, DISTANCE, COMPLETE

EACH = pytest.mark.parametrize("loss", LOSSES, ids=lambda op: op.__name__)
FACES = pytest.mark.parametrize("face", ["fast", "reference"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# Two squares of 2 that share one of 1, in a square of 3: I = 1, U = 7, C = 9, R = 2, D = 18.
A, B = np.array([0.0, 0, 2, 2]), np.array([1.0, 1, 3, 3])


def _both(loss, one, two, **how):
    """The loss and its gradients."""
    y, saved = loss.forward(one, two, **how)
    return y, *loss.backward(saved, np.ones_like(y))


@FACES
@DTYPES
@pytest.mark.parametrize(
    ("loss", "value", "low", "high"),
    [
        # of x1: dI = 0, dU = -2, dC = -3; of x2: dI = 1, dU = 1, dC = 0
        (GENERALIZED, 68 / 63, -2 / 49 - 1 / 27, -6 / 49 - 1 / 9),
        # dR = -1 of both, dD = -6 of x1
        (DISTANCE, 61 / 63, -2 / 49 - 1 / 54, -6 / 49 - 1 / 18),
        (COMPLETE, 61 / 63, -2 / 49 - 1 / 54, -6 / 49 - 1 / 18),  # of one shape
    ],
)
def test_values_and_slopes(loss, value, low, high, dtype, face):
    with ns.use(face):
        y, one, two = _both(loss, A.astype(dtype), B.astype(dtype), eps=0)
    assert y.dtype == one.dtype == dtype
    near = {"rtol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, value, **near)
    np.testing.assert_allclose(one, [low, low, high, high], **near)
    np.testing.assert_allclose(two, [-high, -high, -low, -low], **near)  # they mirror each other


@FACES
@pytest.mark.parametrize("moves", [False, True])
def test_the_weight_of_shapes_is_a_constant_or_moves(face, moves):
    """Apart, so IoU = 0. Angles of 45 and 60 degrees: v = 4 / 12**2 = 1 / 36, alpha = 1 / 37."""
    one, two = np.array([0.0, 0, 1, 1]), np.array([2, 3, 2 + math.sqrt(3), 4])
    with ns.use(face):
        far, far1, far2 = _both(DISTANCE, one, two, eps=0)
        y, of1, of2 = _both(COMPLETE, one, two, eps=0, alpha_gradient=moves)
    assert y - far == pytest.approx(1 / 37 / 36, rel=1e-11)
    # d angle is 1/2 of the width of the one and 1/4 of the other's, whose height counts sqrt(3) / 4
    slope = 1 / 37 * (2 - 1 / 37 if moves else 1) * 2 / (3 * math.pi)
    np.testing.assert_allclose(of1 - far1, slope / 2 * np.array([1, -1, -1, 1]), rtol=1e-11)
    wanted = slope / 4 * np.array([-1, math.sqrt(3), 1, -math.sqrt(3)])
    np.testing.assert_allclose(of2 - far2, wanted, rtol=1e-11)


@FACES
def test_alpha_moves_with_the_overlap_too(face):
    """By central differences of the value, which by default are not the gradient."""
    one, two = np.array([[0.0, 0, 2, 1.25]]), np.array([[0.5, 0.25, 1.75, 3]])
    with ns.use(face):
        assert ns.gradcheck(COMPLETE, [one, two, "sum", 1e-7, True]).status == "pass"
        assert ns.gradcheck(COMPLETE, [one, two, "sum", 1e-7, False]).status == "fail"


@DTYPES
def test_the_kernel_holds_alpha_as_the_definition_does(dtype):
    rng = np.random.default_rng(0)
    low, side = rng.uniform(0, 3, (2, 600, 2)), rng.uniform(0.25, 3, (2, 600, 2))
    one, two = np.concatenate([low, low + side], -1).astype(dtype)
    near = 16 * np.finfo(dtype).eps
    for reduction in ("none", "sum"):
        fast = _both(COMPLETE, one, two, reduction=reduction)
        slow = _both(COMPLETE.reference, one, two, reduction=reduction)
        for a, b in zip(fast, slow, strict=True):
            np.testing.assert_allclose(a, b, rtol=near, atol=near)


@FACES
@EACH
def test_equal_boxes_are_a_kink_with_no_gradient(loss, face):
    with ns.use(face):
        y, one, two = _both(loss, A, A)
    assert y == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(one, 0, atol=1e-7)  # halves of both sides cancel, but for eps
    np.testing.assert_allclose(two, 0, atol=1e-7)


@FACES
def test_half_of_a_tie(face):
    """B inside of A's left border: x1 is the same, so half of what moves each way. I = 1, U = 4."""
    one, two = A, np.array([0.0, 0.5, 1, 1.5])
    with ns.use(face):
        y, of1, of2 = _both(GENERALIZED, one, two, eps=0)
    assert y == 0.75  # C = U
    # x1 of A: dI = -1/2, dA = -2, so dU = -3/2, dC = -1: -(-1/2 * 4 + 3/2) / 16 - (-6 + 4) / 16
    assert of1[0] == 0.5 / 16 + 2 / 16
    # x1 of B: dI = -1/2, dA = -1, so dU = -1/2, dC = -1
    assert of2[0] == (2 - 0.5) / 16 + (2 - 4) / 16


@FACES
def test_boxes_that_touch(face):
    """I = 0 has no gradient; U = C = 2, dU = 1 of the first box's x2."""
    one, two = np.array([0.0, 0, 1, 1]), np.array([1.0, 0, 2, 1])
    with ns.use(face):
        y, of1, of2 = _both(GENERALIZED, one, two, eps=0)
    assert y == 1
    assert of1.tolist() == [0, 0, -0.5, 0]
    assert of2.tolist() == [0.5, 0, 0, 0]
    with ns.use(face):  # R = 1, D = 5, dR = -1 of both x, dD = -4 of x1 and half of -2 and 2 of y
        y, of1, _ = _both(DISTANCE, one, two, eps=0)
    assert y == 1.2
    np.testing.assert_allclose(of1, [-0.2 + 0.16, 0.04, -0.2, -0.04], rtol=1e-14)


@FACES
@EACH
def test_boxes_of_no_size(loss, face):
    point, line = np.ones(4), np.array([0.0, 1, 2, 1])
    with ns.use(face):
        y, one, _ = _both(loss, point, point)
        assert y == 1  # 0 / eps
        assert np.isfinite(one).all()
        assert np.isnan(loss(point, point, eps=0))
        assert np.isfinite(loss(point, line))
        y, one, two = _both(loss, np.array([point, A]), np.array([A, line]))
        assert np.isfinite(y).all()
        assert np.isfinite(one).all()
        assert np.isfinite(two).all()


@FACES
@EACH
def test_reductions_and_no_boxes(loss, face):
    one, two = np.array([A, A, B]), np.array([A, B, A])
    with ns.use(face):
        each = loss(one, two)
        assert each.shape == (3,)
        for reduction, wanted in (("sum", each.sum()), ("mean", each.mean())):
            y, saved = loss.forward(one, two, reduction)
            assert y == pytest.approx(wanted, rel=1e-15)
            gradient, _ = loss.backward(saved, np.array(3.0))
            _, single = loss.forward(one, two)
            alone, _ = loss.backward(single, np.full(3, 3.0 if reduction == "sum" else 1.0))
            np.testing.assert_allclose(gradient, alone, rtol=1e-14)
        nothing = np.zeros((0, 4))
        assert loss(nothing, nothing).shape == (0,)
        assert loss(nothing, nothing, "mean") == loss(nothing, nothing, "sum") == 0


@FACES
@EACH
def test_what_is_no_number_stays_none(loss, face):
    with ns.use(face):
        y, one, _ = _both(loss, np.array([A, [0, math.nan, 2, 2]]), np.array([B, B]))
    assert np.isnan(y).tolist() == [False, True]
    assert not np.isnan(one[0]).any()
    assert np.isnan(one[1]).any()
