"""mish against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.mish, ns.mish.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan


@FACES
@DTYPES
def test_values(op, dtype):
    # tanh(log(1 + n)) = n (n + 2) / (n (n + 2) + 2) for n = exp(x): 4/5 at log 2, 5/13 at -log 2
    log2 = math.log(2)
    y = op(np.array([0.0, log2, -log2], dtype))
    assert y.dtype == dtype
    expected = [0, 0.8 * log2, -5 / 13 * log2]
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([inf, 1e30, -1e30, -0.0, nan, -inf], dtype))
    np.testing.assert_array_equal(y, [inf, dtype(1e30), 0, 0, nan, nan])
    assert np.signbit(y[2:4]).all()


@FACES
@DTYPES
def test_far_below_zero_it_is_x_exp_x_to_all_digits(op, dtype):
    # at -20 it is 2e-9 less; computed with 50 digits
    x = np.array([-20.0, -80.0], dtype)
    expected = [-4.1223072406287614006e-8, -1.4438811102763321378e-33]
    np.testing.assert_allclose(op(x), expected, rtol=4 * np.finfo(dtype).eps)


@FACES
@DTYPES
def test_gradient(op, dtype):
    # t + x (1 - t**2) sigmoid(x), with t = 3/5, 4/5, 5/13; far below zero exp(x) (1 + x)
    log2 = math.log(2)
    x = np.array([0.0, log2, -log2, -80.0, 1e30, -1e30, inf, -inf, nan], dtype)
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.ones(9, dtype))
    expected = [0.6, 0.8 + 0.24 * log2, 5 / 13 - 48 / 169 * log2, -79 * math.exp(-80)]
    expected += [1, 0, nan, nan, nan]
    np.testing.assert_allclose(gx, expected, rtol=6 * np.finfo(dtype).eps)


@FACES
def test_the_smallest_value(op):
    # computed with 50 digits
    x = np.array([-1.1924312145154952121])
    y, saved = op.forward(x)
    np.testing.assert_allclose(y, -0.30884341301725040663, rtol=1e-15)
    assert abs(op.backward(saved, np.ones(1))[0][0]) < 1e-15
