"""subtract: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.subtract, ns.subtract.reference], ids=["cpu", "ref"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@both
@dtypes
def test_subtracts(op, dtype):
    y = op(np.array([1, -2, np.inf, 0], dtype), np.array([0.5, 2, np.inf, 0], dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [0.5, -4, np.nan, 0])


@both
def test_gradients_of_what_is_repeated_are_sums(op):
    y, saved = op.forward(np.array([[1.0], [2.0]]), np.array([10.0, 20.0, 30.0]))
    assert y.tolist() == [[-9, -19, -29], [-8, -18, -28]]
    gx, gother = op.backward(saved, np.array([[1.0, 2, 4], [8, 16, 32]]))
    assert gx.tolist() == [[7], [56]]
    assert gother.tolist() == [-9, -18, -36]


@both
def test_gradients_of_one_shape(op):
    _, saved = op.forward(np.zeros(2), np.zeros(2))
    gx, gother = op.backward(saved, np.array([3.0, -5.0]))
    assert (gx.tolist(), gother.tolist()) == ([3, -5], [-3, 5])


def test_its_matrix_is_that_of_x():
    matrix = ns.subtract.matrix((2, 1), np.array([10.0, 20.0]))
    assert matrix.toarray().tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
