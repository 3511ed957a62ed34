"""celu against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.celu, ns.celu.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan


@FACES
@DTYPES
def test_values(op, dtype):
    # alpha (exp(x / alpha) - 1): at -alpha log 2 it is -alpha / 2
    log2 = math.log(2)
    for alpha in (1.0, 0.5, 4.0):
        y = op(np.array([3.0, 0.0, -0.0, -alpha * log2], dtype), alpha)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, [3, 0, 0, -alpha / 2], rtol=2 * np.finfo(dtype).eps)


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([inf, -inf, 1e30, -1e30, nan], dtype), 2.0)
    np.testing.assert_array_equal(y, [inf, -2, dtype(1e30), -2, nan])


@FACES
@DTYPES
def test_gradient_without_a_kink_at_zero(op, dtype):
    x = np.array([2.0, 0.0, -0.0, -2 * math.log(2), -inf, inf, nan], dtype)
    _, saved = op.forward(x, 2.0)
    (gx,) = op.backward(saved, np.full(7, 8, dtype))
    np.testing.assert_allclose(gx, [8, 8, 8, 4, 0, 8, nan], rtol=2 * np.finfo(dtype).eps)


@FACES
def test_for_alpha_1_it_is_elu(op):
    x = np.linspace(-5, 5, 101)
    np.testing.assert_array_equal(op(x), ns.elu(x) if op is ns.celu else ns.elu.reference(x))
