"""sigmoid_focal_loss against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

OP = ns.sigmoid_focal_loss
FACES = pytest.mark.parametrize("op", [OP, OP.reference], ids=["cpu", "ref"])
FACE_PAIR = (OP, OP.reference)
L3, L43, L4 = math.log(3), math.log(4 / 3), math.log(4)

# sigmoid(log 3) = 3/4. Right: 1 - q = 1/4, ce = log 4/3. Wrong: 1 - q = 3/4, ce = log 4.
X = np.array([L3, L3, -L3, -L3])
T = np.array([1.0, 0.0, 0.0, 1.0])
RIGHT, WRONG = L43 / 16, L4 * 9 / 16


@FACES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_reductions(op, dtype):
    x, t, rtol = X.astype(dtype), T.astype(dtype), 6 * np.finfo(dtype).eps
    expected = [RIGHT / 4, WRONG * 3 / 4, RIGHT * 3 / 4, WRONG / 4]
    y = op(x, t)  # not reduced: torchvision's default
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=rtol)
    np.testing.assert_allclose(op(x, t, alpha=-1), [RIGHT, WRONG, RIGHT, WRONG], rtol=rtol)
    for reduction, divisor in (("mean", 4), ("sum", 1), ("batch_size", 2)):
        y = op(x.reshape(2, 2), t.reshape(2, 2), reduction=reduction)
        np.testing.assert_allclose(y, np.sum(expected) / divisor, rtol=rtol)


@FACES
def test_gamma(op):
    for gamma in (0, 0.5, 1, 3):
        expected = [L43 / 4**gamma, L4 * 0.75**gamma, L43 / 4**gamma, L4 * 0.75**gamma]
        np.testing.assert_allclose(op(X, T, -1, gamma), expected, rtol=1e-14)
    half = op(np.zeros(1), np.array([0.5]), gamma=1)  # 1 - q = 1/2, a = 1/2
    np.testing.assert_allclose(half, math.log(2) / 4, rtol=1e-14)


@FACES
def test_gradient(op):
    # yes at p: -(1 - p)**2 (1 - p) - 2 (1 - p) p (1 - p) ce = -(1 - p)**2 ((1 - p) + 2 p ce)
    _, saved = op.forward(X, T, alpha=-1)
    (gx,) = op.backward(saved, np.array([1.0, 2.0, 3.0, 4.0]))
    right, wrong = (1 / 4 + 1.5 * L43) / 16, (3 / 4 + 0.5 * L4) * 9 / 16
    np.testing.assert_allclose(gx, [-right, 2 * wrong, 3 * right, -4 * wrong], rtol=1e-14)
    _, saved = op.forward(X, T, reduction="mean")
    (gx,) = op.backward(saved, np.array(4.0))
    expected = [-right / 4, wrong * 3 / 4, right * 3 / 4, -wrong / 4]
    np.testing.assert_allclose(gx, expected, rtol=1e-14)


@FACES
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_ends(op, gamma):
    inf, nan = np.inf, np.nan
    x, t = np.array([inf, -inf, inf, -inf, nan, 0]), np.array([1.0, 0, 0, 1, 1, nan])
    losses, saved = op.forward(x, t, -1, gamma)
    np.testing.assert_array_equal(losses.round(150), [0, 0, inf, inf, nan, nan])
    (gx,) = op.backward(saved, np.ones(6))
    np.testing.assert_array_equal(gx.round(150), [0, 0, 1, -1, nan, nan])


@FACES
def test_a_confident_element_keeps_its_digits(op):
    """For yes at x: (1 - p)**2 = e**2 / (1 + e)**2 with e = exp(-x); torchvision has 0 here."""
    e = math.exp(-40)
    y = op(np.array([40.0]), np.ones(1), alpha=-1)
    np.testing.assert_allclose(y, e**2 / (1 + e) ** 2 * math.log1p(e), rtol=1e-14)
    y = op(np.array([40], np.float32), np.ones(1, np.float32), alpha=-1, gamma=0.5)
    np.testing.assert_allclose(y, e**1.5, rtol=1e-6)


@FACES
def test_nothing_to_lose(op):
    nothing = np.zeros((0, 4))
    assert op(nothing, nothing).shape == (0, 4)
    assert op(nothing, nothing, reduction="mean") == 0
    assert np.isnan(op(nothing, nothing, reduction="mean", empty="nan"))


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
