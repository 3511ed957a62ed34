"""leaky_relu against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.leaky_relu, ns.leaky_relu.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    x = np.array([-4.0, -0.0, 0.0, 3.5, np.inf, -np.inf, np.nan], dtype)
    y = op(x, 0.25)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [-1, 0, 0, 3.5, np.inf, -np.inf, np.nan])
    assert list(np.signbit(y[1:3])) == [True, False]


@FACES
def test_the_slope_is_not_rounded_to_float32(op):
    # 0.01 as a float32 is 0.00999999977...: times -5 that rounds to another float32 than -0.05
    x = np.array([-5.0, -9.0], np.float32)
    np.testing.assert_array_equal(op(x), np.float32([-0.05, -0.09]))


@FACES
@DTYPES
def test_gradient_with_the_kink_at_zero_and_nan(op, dtype):
    x = np.array([-1.0, -0.0, 0.0, 1e-30, 2.0, np.nan], dtype)
    _, saved = op.forward(x, 0.5)
    (gx,) = op.backward(saved, np.array([8, 8, 8, 8, -8, 8], dtype))
    np.testing.assert_array_equal(gx, [4, 4, 4, 8, -8, 4])


@FACES
def test_slopes_that_are_no_leak(op):
    x = np.array([-2.0, 2.0])
    np.testing.assert_array_equal(op(x, 0.0), [0, 2])
    np.testing.assert_array_equal(op(x, 1.0), x)
    np.testing.assert_array_equal(op(x, -1.0), [2, 2])
