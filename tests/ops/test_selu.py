"""selu against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.selu, ns.selu.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


@FACES
@DTYPES
def test_values(op, dtype):
    # scale x above zero; below, at -log 2, -scale alpha / 2
    y = op(np.array([2.0, 0.0, -0.0, -math.log(2)], dtype))
    assert y.dtype == dtype
    expected = [2 * SCALE, 0, 0, -SCALE * ALPHA / 2]
    np.testing.assert_allclose(y, expected, rtol=2 * np.finfo(dtype).eps)


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([inf, -inf, -1e30, nan], dtype))
    np.testing.assert_allclose(y, [inf, -SCALE * ALPHA, -SCALE * ALPHA, nan], rtol=1e-7)


@FACES
def test_normal_numbers_are_a_fixed_point(op):
    # the expected values of y and of y**2 for a normally distributed x, by the trapezoidal rule
    x = np.linspace(-12, 12, 240_001)
    weight = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * (x[1] - x[0])
    y = op(x)
    assert abs(np.sum(weight * y)) < 1e-9
    assert abs(np.sum(weight * y * y) - 1) < 1e-8


@FACES
@DTYPES
def test_gradient_with_the_kink_at_zero(op, dtype):
    x = np.array([2.0, 0.0, -0.0, -math.log(2), -inf, inf, nan], dtype)
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.full(7, 2, dtype))
    left = 2 * SCALE * ALPHA
    expected = [2 * SCALE, left, left, left / 2, 0, 2 * SCALE, nan]
    np.testing.assert_allclose(gx, expected, rtol=3 * np.finfo(dtype).eps)
