"""silu against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.silu, ns.silu.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    # sigmoid(log 3) = 3/4
    x = np.array([0.0, math.log(3), -math.log(3)], dtype)
    y = op(x)
    assert y.dtype == dtype
    expected = [0, 0.75 * math.log(3), -0.25 * math.log(3)]
    np.testing.assert_allclose(y, expected, rtol=3 * np.finfo(dtype).eps)


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([np.inf, 1e30, -1e30, -0.0, np.nan, -np.inf], dtype))
    np.testing.assert_array_equal(y, [np.inf, dtype(1e30), 0, 0, np.nan, np.nan])
    assert np.signbit(y[2:4]).all()


@FACES
@DTYPES
def test_far_below_zero_it_is_x_exp_x_to_all_digits(op, dtype):
    x = np.array([-40.0, -60.0, -80.0], dtype)
    wide = x.astype(float)
    np.testing.assert_allclose(op(x), wide * np.exp(wide), rtol=4 * np.finfo(dtype).eps)


@FACES
def test_gradient(op):
    # s (1 + x (1 - s)): 1/2 at 0; 3/4 (1 + log(3) / 4) and 1/4 (1 - 3/4 log(3)) at +-log 3
    log3 = math.log(3)
    x = np.array([0.0, log3, -log3, 1000.0, -1000.0, np.nan, np.inf, -np.inf])
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.array([4.0, 16.0, 16.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    expected = [2, 12 + 3 * log3, 4 - 3 * log3, 1, 0, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(gx, expected, rtol=1e-14)


@FACES
def test_the_smallest_value(op):
    # s (1 + x (1 - s)) = 0 at x = -1 - w with w = Lambert W(1/e) = 0.27846454276107379..., y = -w
    x = np.array([-1.2784645427610738])
    y, saved = op.forward(x)
    np.testing.assert_allclose(y, -0.2784645427610738, rtol=1e-15)
    assert abs(op.backward(saved, np.ones(1))[0][0]) < 1e-15


@FACES
def test_another_slope_in_the_sigmoid(op):
    # x sigmoid(2 x) at x = log(3) / 2: 3/4 x
    x = np.array([math.log(3) / 2])
    np.testing.assert_allclose(op(2 * x) / 2, 0.75 * x, rtol=1e-15)
