"""exp against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.exp, ns.exp.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf, nan = np.inf, np.nan


@FACES
@DTYPES
def test_values(op, dtype):
    y = op(np.array([0.0, -0.0, math.log(3), -math.log(3)], dtype))
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [1, 1, 3, 1 / 3], rtol=3 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(y[:2], 1)


@FACES
@DTYPES
def test_the_ends(op, dtype):
    y = op(np.array([inf, 1e30, -1e30, -inf, nan], dtype))
    np.testing.assert_array_equal(y, [inf, inf, 0, 0, nan])


@FACES
def test_gradient_is_the_value(op):
    y, saved = op.forward(np.array([0.0, 1.0, -inf, inf, nan]))
    np.testing.assert_array_equal(op.backward(saved, np.full(5, 2.0))[0], 2 * y)


def test_only_the_result_is_saved():
    y, saved = ns.exp.forward(np.zeros(3))
    assert saved._fields == ("y", "plan")
    assert np.shares_memory(saved.y, y)
