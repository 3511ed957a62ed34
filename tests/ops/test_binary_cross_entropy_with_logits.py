"""binary_cross_entropy_with_logits against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

OP = ns.binary_cross_entropy_with_logits
FACES = pytest.mark.parametrize("op", [OP, OP.reference], ids=["cpu", "ref"])
L3, L43, L4 = math.log(3), math.log(4 / 3), math.log(4)

# sigmoid(log 3) = 3/4: yes costs log 4/3, no costs log 4. At -log 3 it is the other way round.
X = np.array([[L3, L3, -L3], [-L3, L3, -L3]])
T = np.array([[1.0, 0.0, 1.0], [0.0, 0.5, 0.25]])
LOSSES = np.array([[L43, L4, L4], [L43, (L43 + L4) / 2, L4 / 4 + L43 * 3 / 4]])
SLOPES = np.array([[-1 / 4, 3 / 4, -3 / 4], [1 / 4, 1 / 4, 0]])  # sigmoid(x) - t


@FACES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reductions(op, dtype):
    x, t, rtol = X.astype(dtype), T.astype(dtype), 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(op(x, t, reduction="none"), LOSSES, rtol=rtol)
    for reduction, divisor in (("mean", 6), ("sum", 1), ("batch_size", 2)):
        y, saved = op.forward(x, t, reduction=reduction)
        assert y.shape == ()
        assert y.dtype == dtype
        np.testing.assert_allclose(y, LOSSES.sum() / divisor, rtol=rtol)
        gx, _ = op.backward(saved, np.array(3, dtype))
        np.testing.assert_allclose(gx, 3 * SLOPES / divisor, rtol=rtol, atol=rtol)


@FACES
def test_gradients_for_logits_and_targets(op):
    _, saved = op.forward(X, T, reduction="none")
    gy = np.array([[1.0, 2, -3], [0, 4, 5]])
    gx, gt = op.backward(saved, gy)
    np.testing.assert_allclose(gx, gy * SLOPES, rtol=1e-14, atol=1e-15)
    # yes costs softplus(-x), no softplus(x): the difference is -x
    np.testing.assert_allclose(gt, gy * -X, rtol=1e-14)


@FACES
def test_weights(op):
    weight, pos_weight = np.array([2.0, 1.0, 0.5]), np.array([[3.0], [4.0]])
    yes, no = np.array([[L43, L43, L4], [L4, L43, L4]]), np.array([[L4, L4, L43], [L43, L4, L43]])
    y, saved = op.forward(X, T, weight, pos_weight, reduction="none")
    np.testing.assert_allclose(y, weight * (pos_weight * T * yes + (1 - T) * no), rtol=1e-14)
    mean = op(X, T, weight, pos_weight)
    np.testing.assert_allclose(mean, y.sum() / 6, rtol=1e-14)  # weights do not count in the mean
    gx, gt = op.backward(saved, np.ones((2, 3)))
    p = np.array([[3, 3, 1], [1, 3, 1]]) / 4
    np.testing.assert_allclose(gx, weight * ((1 - T) * p - pos_weight * T * (1 - p)), rtol=1e-14)
    np.testing.assert_allclose(gt, weight * (pos_weight * yes - no), rtol=1e-14)
    np.testing.assert_array_equal(op(X, T, np.array(0.0)), 0)


@FACES
def test_labels_choose_a_class(op):
    """As Mask R-CNN's mask loss: masks (K, C, h, w), the label's alone is compared."""
    x = np.full((2, 3, 1, 2), np.nan)
    x[0, 2], x[1, 0] = [L3, L3], [-L3, L3]
    target = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    y, saved = op.forward(x, target, labels=np.array([2, 0], np.uint8))
    np.testing.assert_allclose(y, (L43 + L4 + L43 + L43) / 4, rtol=1e-14)
    gx, gt = op.backward(saved, np.array(4.0))
    expected = np.zeros_like(x)
    expected[0, 2], expected[1, 0] = [-1 / 4, 3 / 4], [1 / 4, -1 / 4]
    np.testing.assert_allclose(gx, expected, rtol=1e-14)
    np.testing.assert_allclose(gt, [[[-L3, -L3]], [[L3, -L3]]], rtol=1e-14)
    losses = op(x, target, labels=np.array([2, 0]), reduction="none")
    assert losses.shape == (2, 1, 2)
    assert op(x, target, labels=np.array([2, 0]), reduction="batch_size") == y * 2


@FACES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_confident_elements_keep_their_digits(op, dtype):
    x = np.array([20, -20, 60, -60], dtype)
    losses, saved = op.forward(x, np.array([1, 0, 1, 0], dtype), reduction="none")
    e = np.exp(-np.abs(x.astype(float)))
    np.testing.assert_allclose(losses, np.log1p(e), rtol=2 * np.finfo(dtype).eps)
    gx, _ = op.backward(saved, np.ones(4, dtype))
    np.testing.assert_allclose(gx, e / (1 + e) * [-1, 1, -1, 1], rtol=4 * np.finfo(dtype).eps)


@FACES
def test_infinite_logits_and_no_number(op):
    inf, nan = np.inf, np.nan
    x, t = np.array([inf, -inf, inf, -inf, nan, 0]), np.array([1, 0, 0, 1, 1, nan])
    losses, saved = op.forward(x, t, reduction="none")
    np.testing.assert_array_equal(losses, [0, 0, inf, inf, nan, nan])
    gx, _ = op.backward(saved, np.ones(6))
    np.testing.assert_array_equal(gx, [0, 0, 1, -1, nan, nan])


@FACES
@pytest.mark.parametrize("shape", [(0,), (2, 0, 3)])
def test_nothing_to_lose(op, shape):
    x = np.zeros(shape)
    for reduction in ("mean", "sum", "batch_size"):
        assert op(x, x, reduction=reduction) == 0
    y, saved = op.forward(x, x, empty="nan")
    assert np.isnan(y)
    assert op.backward(saved, y)[0].shape == shape
    assert op(x, x, reduction="sum", empty="nan") == 0
    assert op(np.zeros((0, 3, 5)), np.zeros((0, 5)), labels=np.zeros(0, int)) == 0


def test_blocks_and_threads_change_no_bit():
    rng = np.random.default_rng(0)
    x, t = rng.normal(0, 5, (2, 100_001)).astype(np.float32)
    w = rng.uniform(0, 2, 100_001).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = OP.forward(x, t, w)
            results.append((y, *OP.backward(saved, y)))
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    exact = OP.reference(x.astype(float), t.astype(float), w.astype(float))
    np.testing.assert_allclose(results[0][0], exact, rtol=1e-7)
