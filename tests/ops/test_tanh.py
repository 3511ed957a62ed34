"""tanh against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.tanh, ns.tanh.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan


@FACES
@DTYPES
def test_values(op, dtype):
    # (2 - 1/2) / (2 + 1/2) = 3/5 at log 2, (3 - 1/3) / (3 + 1/3) = 4/5 at log 3
    y = op(np.array([math.log(2), -math.log(2), math.log(3), 0.0, -0.0], dtype))
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [0.6, -0.6, 0.8, 0, 0], rtol=2 * np.finfo(dtype).eps)
    assert list(np.signbit(y[3:])) == [False, True]


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([inf, -inf, 1e30, -1e30, nan, 1e-30, -1e-30], dtype))
    np.testing.assert_array_equal(y, np.array([1, -1, 1, -1, nan, 1e-30, -1e-30], dtype))


@FACES
@DTYPES
def test_gradient(op, dtype):
    # 1 - (3/5)**2 = 16/25; far from zero, where y has rounded to 1, 4 exp(-2 abs(x)) to all digits
    x = np.array([0.0, math.log(2), -20.0, 40.0, inf, -inf, nan], dtype)
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.full(7, 25, dtype))
    expected = [25, 16, 100 * math.exp(-40), 100 * math.exp(-80), 0, 0, nan]
    np.testing.assert_allclose(gx, expected, rtol=4 * np.finfo(dtype).eps)
