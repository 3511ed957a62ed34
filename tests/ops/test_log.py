"""log against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.log, ns.log.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan


@FACES
@DTYPES
def test_values(op, dtype):
    y = op(np.array([1.0, math.e, 0.125, 1024.0], dtype))
    assert y.dtype == dtype
    log2 = math.log(2)
    np.testing.assert_allclose(y, [0, 1, -3 * log2, 10 * log2], rtol=np.finfo(dtype).eps)


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([0.0, -0.0, inf, -inf, -1.0, nan], dtype))
    np.testing.assert_array_equal(y, [-inf, -inf, inf, nan, nan, nan])


@FACES
@DTYPES
def test_subnormal_numbers(op, dtype):
    x = np.array([np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny / 8], dtype)
    powers = np.array([-149, -129] if dtype == np.float32 else [-1074, -1025])
    np.testing.assert_allclose(op(x), powers * math.log(2), rtol=np.finfo(dtype).eps)


@FACES
def test_gradient_on_both_sides_of_zero(op):
    x = np.array([4.0, 0.0, -0.0, -4.0, inf, nan])
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.full(6, 2.0))
    np.testing.assert_array_equal(gx, [0.5, inf, -inf, -0.5, 0, nan])
