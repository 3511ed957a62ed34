"""sigmoid against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.sigmoid, ns.sigmoid.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FACES
@DTYPES
def test_values(op, dtype):
    # exp(log 3) = 3: 1 / (1 + 1/3) = 3/4 and 1 / (1 + 3) = 1/4
    x = np.array([0.0, -0.0, math.log(3), -math.log(3)], dtype)
    y = op(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [0.5, 0.5, 0.75, 0.25], rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(y[:2], 0.5)


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([np.inf, 1e30, -1e30, -np.inf, np.nan], dtype))
    np.testing.assert_array_equal(y, [1, 1, 0, 0, np.nan])


@FACES
@DTYPES
def test_far_below_zero_it_is_exp_to_all_digits(op, dtype):
    x = np.array([-40.0, -60.0, -80.0], dtype)
    np.testing.assert_allclose(op(x), np.exp(x.astype(float)), rtol=4 * np.finfo(dtype).eps)


@FACES
def test_gradient(op):
    # y (1 - y): 1/4 at 0, 3/16 on both sides at log 3; 0 where y is 0 or 1; NaN where y is
    x = np.array([0.0, math.log(3), -math.log(3), 1000.0, -1000.0, np.nan])
    _, saved = op.forward(x)
    (gx,) = op.backward(saved, np.array([4.0, 16.0, 16.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(gx, [1, 3, 3, 0, 0, np.nan], rtol=1e-15)


def test_only_the_result_is_saved():
    y, saved = ns.sigmoid.forward(np.zeros(3))
    assert saved._fields == ("y", "plan")
    assert np.shares_memory(saved.y, y)
