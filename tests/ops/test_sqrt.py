"""sqrt against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.sqrt, ns.sqrt.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    y = op(np.array([0.0, 0.25, 9.0, 2.0, np.inf, np.nan, -1.0, -np.inf], dtype))
    assert y.dtype == dtype
    expected = [0, 0.5, 3, np.sqrt(dtype(2)), np.inf, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(y, expected)


@FACES
@DTYPES
def test_zeros_keep_their_sign(op, dtype):
    assert list(np.signbit(op(np.array([-0.0, 0.0], dtype)))) == [True, False]


@DTYPES
def test_subnormal_numbers_are_correctly_rounded(dtype):
    x = np.finfo(dtype).smallest_subnormal * np.arange(1, 50, dtype=dtype)
    np.testing.assert_array_equal(ns.sqrt(x), np.sqrt(x.astype(np.longdouble)).astype(dtype))


@FACES
@DTYPES
def test_gradient(op, dtype):
    # 1 / (2 sqrt(x)): 1/4 at 4, 1 at 1/4; 0 at infinity; a division by 0 at 0
    _, saved = op.forward(np.array([4.0, 0.25, np.inf, 0.0, 0.0, 0.0, -1.0], dtype))
    (gx,) = op.backward(saved, np.array([8, 3, 1, 1, -1, 0, 1], dtype))
    np.testing.assert_array_equal(gx, [2, 3, 0, np.inf, -np.inf, np.nan, np.nan])


@FACES
def test_second_derivative(op):
    # -1/4 x**(-3/2): -1/32 at 4
    _, saved = op.forward(np.array([4.0]))
    gx, ggy = op.double_backward(saved, np.array([2.0]), {"x": np.array([16.0])})
    np.testing.assert_array_equal([gx[0], ggy[0]], [-1, 4])
