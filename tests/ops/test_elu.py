"""elu against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.elu, ns.elu.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan


@FACES
@DTYPES
def test_values(op, dtype):
    # exp(-log 2) - 1 = -1/2
    x = np.array([3.0, 0.0, -0.0, -math.log(2)], dtype)
    y = op(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [3, 0, 0, -0.5], rtol=np.finfo(dtype).eps)
    np.testing.assert_allclose(op(x, 0.5), [3, 0, 0, -0.25], rtol=np.finfo(dtype).eps)
    np.testing.assert_allclose(op(x, -3.0), [3, 0, 0, 1.5], rtol=np.finfo(dtype).eps)
    np.testing.assert_array_equal(op(x, 0.0), x.clip(min=0))


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([inf, -inf, 1e30, -1e30, nan], dtype), 2.0)
    np.testing.assert_array_equal(y, [inf, -2, dtype(1e30), -2, nan])


@FACES
@DTYPES
def test_near_zero_it_keeps_its_digits(op, dtype):
    # exp(x) - 1 = x + x**2 / 2 + ...
    x = np.array([-1e-10, -1e-5], dtype)
    wide = x.astype(float)
    np.testing.assert_allclose(op(x), wide + wide**2 / 2 + wide**3 / 6, rtol=np.finfo(dtype).eps)


@FACES
@DTYPES
def test_gradient_with_the_kink_at_zero(op, dtype):
    x = np.array([2.0, 1e-30, 0.0, -0.0, -math.log(2), -inf, inf, nan], dtype)
    _, saved = op.forward(x, 0.5)
    (gx,) = op.backward(saved, np.full(8, 8, dtype))
    np.testing.assert_allclose(gx, [8, 8, 4, 4, 2, 0, 8, nan], rtol=2 * np.finfo(dtype).eps)
