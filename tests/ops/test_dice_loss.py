"""dice_loss against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

OP = ns.dice_loss
FACES = pytest.mark.parametrize("op", [OP, OP.reference], ids=["cpu", "ref"])
PLAIN = {"smooth_nr": 0, "smooth_dr": 0}

# Two images of two pixels, two classes.
P = np.array([[[1 / 4, 3 / 4], [3 / 4, 1 / 4]], [[1 / 2, 1 / 4], [1 / 2, 3 / 4]]])
T = np.array([[1, 0], [0, 0]])
MASKS = np.array([[[0.0, 1], [1, 0]], [[1, 1], [0, 0]]])
#   sum(p t)    sum(p)     sum(t)    1 - 2 sum(p t) / (sum(p) + sum(t))
#   3/4  3/4    1    1     1  1      1/4    1/4
#   3/4  0      3/4  5/4   2  0      5/11   1
LOSSES = np.array([[1 / 4, 1 / 4], [5 / 11, 1]])


@FACES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_activation_and_kind_of_target(op, dtype):
    rtol = 8 * np.finfo(dtype).eps
    scores = {"none": P, "softmax": np.log(P), "sigmoid": np.log(P / (1 - P))}
    for target in (T, T.astype(np.uint8), MASKS.astype(dtype)):
        for activation, x in scores.items():
            y = op(x.astype(dtype), target, activation, **PLAIN, reduction="none")
            assert y.dtype == dtype
            np.testing.assert_allclose(y, LOSSES, rtol=rtol, atol=rtol)
    assert op(P.astype(dtype), T, "none", **PLAIN).shape == ()


@FACES
def test_what_is_summed_and_what_is_averaged(op):
    def loss(**how):
        return op(P, T, "none", **PLAIN, **how)

    np.testing.assert_allclose(loss(), LOSSES.mean(), rtol=1e-14)
    np.testing.assert_allclose(loss(reduction="sum"), LOSSES.sum(), rtol=1e-14)
    # over the batch: class 0 has 3/2 of 7/4 + 3, class 1 has 3/4 of 9/4 + 1
    by_class = [1 - 3 / 4.75, 1 - 1.5 / 3.25]
    np.testing.assert_allclose(loss(batch=True, reduction="none"), by_class, rtol=1e-14)
    np.testing.assert_allclose(loss(batch=True), np.mean(by_class), rtol=1e-14)
    # over the classes: 3/2 of 2 + 2, and 3/4 of 2 + 2
    by_image = [1 - 3 / 4, 1 - 1.5 / 4]
    np.testing.assert_allclose(loss(micro=True, reduction="none"), by_image, rtol=1e-14)
    np.testing.assert_allclose(loss(micro=True), np.mean(by_image), rtol=1e-14)
    for reduction in ("mean", "sum", "none"):
        y = loss(batch=True, micro=True, reduction=reduction)
        assert y.shape == ()
        np.testing.assert_allclose(y, 1 - 4.5 / 8, rtol=1e-14)


@FACES
def test_v_net_squares(op):
    # sums of squares of p: 10/16 and 10/16; 5/16 and 13/16
    below = np.array([[26, 26], [37, 13]]) / 16
    expected = 1 - 2 * np.array([[3, 3], [3, 0]]) / 4 / below
    y = op(P, T, "none", True, **PLAIN, reduction="none")
    np.testing.assert_allclose(y, expected, rtol=1e-14)
    soft = np.full((1, 1, 2), 0.5)  # also of a soft target: 2 (1/4 + 1/4) / (2/4 + 2/4)
    np.testing.assert_allclose(op(soft, soft, "none", True, **PLAIN), 0, atol=1e-15)
    np.testing.assert_allclose(op(soft, soft, "none", **PLAIN), 0.5, rtol=1e-14)


@FACES
def test_smoothing_above_and_below(op):
    y = op(P, T, "none", smooth_nr=0.5, smooth_dr=2, reduction="none")
    expected = 1 - np.array([[2 / 4, 2 / 4], [2 / 4.75, 0.5 / 3.25]])
    np.testing.assert_allclose(y, expected, rtol=1e-14)
    nothing = np.zeros((1, 1, 2))
    assert op(nothing, nothing, "none") == 0  # 1 - 1e-5 / 1e-5
    assert np.isnan(op(nothing, nothing, "none", **PLAIN))
    assert op(nothing, nothing, "none", smooth_nr=0, smooth_dr=1) == 1


@FACES
def test_gradient_for_probabilities(op):
    # with D below and R the quotient: (R - 2 t) / D
    _, saved = op.forward(P, T, "none", **PLAIN, reduction="none")
    gy = np.array([[4.0, 8.0], [11.0, -2.0]])
    (gx,) = op.backward(saved, gy)
    below = np.array([[2, 2], [11 / 4, 5 / 4]])
    expected = (gy / below)[..., None] * ((1 - LOSSES)[..., None] - 2 * MASKS)
    np.testing.assert_allclose(gx, expected, rtol=1e-14)
    _, saved = op.forward(P, T, "none", True, **PLAIN, micro=True, batch=True)
    (gx,) = op.backward(saved, np.array(1.0))
    below = 38 / 16 + 4
    expected = (2 * P * (4.5 / below) - 2 * MASKS) / below
    np.testing.assert_allclose(gx, expected, rtol=1e-14)


@FACES
def test_gradient_for_scores(op):
    """The mean of a sum over the batch: through sigmoid p (1 - p), through softmax all classes."""
    _, saved = op.forward(P, T, "none", batch=True)
    (gp,) = op.backward(saved, np.array(1.0))
    _, saved = op.forward(np.log(P / (1 - P)), T, "sigmoid", batch=True)
    np.testing.assert_allclose(op.backward(saved, np.array(1.0))[0], gp * P * (1 - P), rtol=1e-13)
    _, saved = op.forward(np.log(P) + 3, T, "softmax", batch=True)
    expected = P * (gp - (gp * P).sum(1, keepdims=True))
    np.testing.assert_allclose(op.backward(saved, np.array(1.0))[0], expected, rtol=1e-13)


@FACES
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_an_ignored_pixel_may_hold_anything(op, activation):
    x = np.concatenate([P, np.full((2, 2, 1), np.nan)], 2)
    target = np.concatenate([T, np.full((2, 1), 255)], 1)
    y, saved = op.forward(x, target, activation, ignore_index=255)
    wanted, other = op.forward(P, T, activation)
    np.testing.assert_array_equal(y, wanted)
    (gx,), (expected,) = op.backward(saved, np.array(2.0)), op.backward(other, np.array(2.0))
    np.testing.assert_array_equal(gx[..., :2], expected)
    np.testing.assert_array_equal(gx[..., 2], 0)


@FACES
def test_all_ignored(op):
    y, saved = op.forward(P, np.full((2, 2), 9), ignore_index=9, reduction="none")
    np.testing.assert_array_equal(y, 0)  # 1 - 1e-5 / 1e-5
    np.testing.assert_array_equal(op.backward(saved, np.ones((2, 2)))[0], 0)


@FACES
def test_nothing_to_lose(op):
    for shape in ((0, 3, 2), (2, 0, 2)):
        x = np.zeros(shape)
        assert op(x, x) == 0
        assert np.isnan(op(x, x, empty="nan"))
    assert op(np.zeros((2, 3, 0)), np.zeros((2, 0), int)) == 0


def test_blocks_and_threads_change_no_bit():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (2, 5, 37, 41)).astype(np.float32)
    target = rng.integers(0, 5, (2, 37, 41))
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = OP.forward(x, target)
            results.append((y, *OP.backward(saved, y)))
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    exact = OP.reference(x.astype(float), target)
    assert math.isclose(results[0][0], exact, rel_tol=1e-6)
