"""softplus against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.softplus, ns.softplus.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan


@FACES
@DTYPES
def test_values(op, dtype):
    # log(1 + 3) = log 4, log(1 + 1/3) = log(4/3); with beta 2, half of it at half of x
    log3 = math.log(3)
    x = np.array([0.0, -0.0, log3, -log3], dtype)
    expected = np.log([2, 2, 4, 4 / 3])
    y = op(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=3 * np.finfo(dtype).eps)
    np.testing.assert_allclose(op(x / 2, 2.0), expected / 2, rtol=3 * np.finfo(dtype).eps)


@FACES
@DTYPES
def test_the_ends(op, dtype):
    x = np.array([inf, 1e30, -1e30, -inf, nan], dtype)
    for threshold in (20.0, 1000.0):
        np.testing.assert_array_equal(op(x, 1.0, threshold), [inf, dtype(1e30), 0, 0, nan])


@FACES
@DTYPES
def test_far_below_zero_it_is_exp_to_all_digits(op, dtype):
    x = np.array([-40.0, -60.0, -80.0], dtype)
    np.testing.assert_allclose(op(x), np.exp(x.astype(float)), rtol=3 * np.finfo(dtype).eps)


@FACES
def test_above_the_threshold_it_is_x(op):
    # log(1 + exp(2)) = 2.1269280110429727; 2 * 0.5 = 1 lies at the threshold 1, not above it
    x = np.array([2.0, np.nextafter(2.0, 3.0)])
    np.testing.assert_allclose(op(x[:1], 1.0, 3.0), 2.1269280110429727, rtol=1e-15)
    y, saved = op.forward(x, 0.5, 1.0)
    np.testing.assert_allclose(y, [2 * math.log(1 + math.e), x[1]], rtol=1e-15)
    (gx,) = op.backward(saved, np.ones(2))
    np.testing.assert_allclose(gx, [math.e / (1 + math.e), 1], rtol=1e-15)
    # PyTorch's 20 leaves out exp(-20)
    assert op(np.array([20.5]))[0] == 20.5
    np.testing.assert_allclose(op(np.array([20.5]), 1.0, 1000.0) - 20.5, math.exp(-20.5), rtol=1e-5)


@FACES
@DTYPES
def test_gradient(op, dtype):
    # sigmoid(beta x): 1/2 at 0, 3/4 and 1/4 at +-log(3) / beta
    log3 = math.log(3)
    x = np.array([0.0, log3 / 2, -log3 / 2, 1000, -1000, inf, -inf, nan], dtype)
    _, saved = op.forward(x, 2.0)
    (gx,) = op.backward(saved, np.full(8, 4, dtype))
    np.testing.assert_allclose(gx, [2, 3, 1, 4, 0, 4, 0, nan], rtol=3 * np.finfo(dtype).eps)
