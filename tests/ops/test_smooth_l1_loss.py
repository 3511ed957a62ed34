"""smooth_l1_loss against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

OP = ns.smooth_l1_loss
FACES = pytest.mark.parametrize("op", [OP, OP.reference], ids=["cpu", "ref"])
FACE_PAIR = (OP, OP.reference)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

D = [0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0]  # differences
X = np.array([1.0, 1.5, 0.5, 2.0, 0.0, 3.0, -1.0, 4.0])
T = np.ones(8)


@FACES
@DTYPES
@pytest.mark.parametrize(
    ("beta", "losses", "slopes"),
    [
        (1.0, [0, 0.125, 0.125, 0.5, 0.5, 1.5, 1.5, 2.5], [0, 0.5, -0.5, 1, -1, 1, -1, 1]),
        (2.0, [0, 1 / 16, 1 / 16, 0.25, 0.25, 1, 1, 2], [0, 0.25, -0.25, 0.5, -0.5, 1, -1, 1]),
        (0, [0, 0.5, 0.5, 1, 1, 2, 2, 3], [0, 1, -1, 1, -1, 1, -1, 1]),
        (0.5, [0, 0.25, 0.25, 0.75, 0.75, 1.75, 1.75, 2.75], [0, 1, -1, 1, -1, 1, -1, 1]),
    ],
)
def test_values_and_slopes_on_both_sides_of_beta_and_at_it(op, beta, losses, slopes, dtype):
    x, t = X.astype(dtype), T.astype(dtype)
    y, saved = op.forward(x, t, beta, "none")
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, losses)
    gy = np.array([1, 2, 3, 4, -1, -2, -3, 8], dtype)
    gx, gt = op.backward(saved, gy)
    np.testing.assert_array_equal(gx, gy * slopes)
    np.testing.assert_array_equal(gt, -gy * slopes)
    y, saved = op.forward(x, t, beta, "none", huber=True)
    np.testing.assert_array_equal(y, beta * np.array(losses))
    np.testing.assert_array_equal(op.backward(saved, gy)[0], gy * np.array(slopes) * beta)


@FACES
def test_reductions(op):
    x, t, losses = X.reshape(2, 4), T.reshape(2, 4), 6.75  # with beta 1
    for reduction, divisor in (("mean", 8), ("sum", 1), ("batch_size", 2)):
        y, saved = op.forward(x, t, reduction=reduction)
        assert y == losses / divisor
        gx, _ = op.backward(saved, np.array(2.0))
        np.testing.assert_array_equal(gx[1], np.array([-2, 2, -2, 2]) / divisor)


@FACES
def test_caffes_sigma(op):
    """Fast R-CNN: 0.5 (sigma d)**2 where |d| < 1 / sigma**2, else |d| - 0.5 / sigma**2."""
    sigma, d = 3.0, np.array([0.1, -0.11, 0.12, 2.0])
    expected = [0.5 * 0.3**2, 0.5 * 0.33**2, 0.12 - 0.5 / 9, 2 - 0.5 / 9]
    np.testing.assert_allclose(op(d, np.zeros(4), 1 / sigma**2, "none"), expected, rtol=1e-14)


@FACES
def test_infinity_and_no_number(op):
    inf, nan = np.inf, np.nan
    x, t = np.array([inf, -inf, inf, nan, 0, 1e300]), np.array([0, 0, inf, 0, nan, -1e300])
    y, saved = op.forward(x, t, reduction="none")
    np.testing.assert_array_equal(y, [inf, inf, nan, nan, nan, 2e300])
    gx, _ = op.backward(saved, np.ones(6))
    np.testing.assert_array_equal(gx, [1, -1, nan, nan, nan, 1])


@FACES
def test_nothing_to_lose(op):
    nothing = np.zeros((0, 4))
    assert op(nothing, nothing) == 0
    assert np.isnan(op(nothing, nothing, empty="nan"))
    assert op(nothing, nothing, reduction="batch_size", empty="nan") == 0


@FACES
def test_a_sum_beyond_float32_is_infinite_without_a_warning(op):
    x = np.full(10, 3e38, np.float32)
    assert op(x, np.zeros_like(x), reduction="sum") == np.inf
    assert op(x, np.zeros_like(x)) == np.float32(3e38)


@pytest.mark.parametrize("size", [1023, 1024, 1025, 5000])
def test_every_block_counts_once(size):
    rng = np.random.default_rng(size)
    x, target = 2 * rng.normal(size=size), rng.integers(0, 2, size) * 1.0
    for reduction in ("none", "sum"):
        (y, saved), (exact, other) = (f.forward(x, target, reduction=reduction) for f in FACE_PAIR)
        np.testing.assert_allclose(y, exact, rtol=1e-13)
        grads, expected = (f.backward(s, y) for f, s in zip(FACE_PAIR, (saved, other), strict=True))
        for ours, theirs in zip(grads, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
