"""divide: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.divide, ns.divide.reference], ids=["cpu", "ref"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@both
@dtypes
def test_divides(op, dtype):
    y = op(np.array([1, -2, 3], dtype), np.array([4, 4, -0.5], dtype))
    assert y.dtype == dtype
    assert y.tolist() == [0.25, -0.5, -6]


@both
@dtypes
def test_by_zero_and_what_is_not_finite_without_a_warning(op, dtype):
    x = np.array([1, 1, -1, 0, np.inf, 1, np.nan], dtype)
    y = op(x, np.array([0, -0.0, 0, 0, np.inf, np.inf, 1], dtype))
    np.testing.assert_array_equal(y, [np.inf, -np.inf, -np.inf, np.nan, np.nan, 0, np.nan])


@both
@dtypes
def test_gradients_and_their_sums(op, dtype):
    # rows 2 / (1, 2, 4) and 8 / (1, 2, 4)
    _, saved = op.forward(np.array([[2], [8]], dtype), np.array([1, 2, 4], dtype))
    gx, gother = op.backward(saved, np.array([[1, 2, 4], [1, -2, 8]], dtype))
    assert gx.tolist() == [[3], [2]]
    # -(1 * 2 + 1 * 8) / 1, -(2 * 2 - 2 * 8) / 4, -(4 * 2 + 8 * 8) / 16
    assert gother.tolist() == [-10, 3, -4.5]


@both
@dtypes
def test_a_gradient_whose_square_of_the_divisor_leaves_the_range(op, dtype):
    # x / other**2 = 1 / other for x = other
    edge = dtype(2.0) ** (np.finfo(dtype).maxexp * 3 // 4)
    other = np.array([edge, 1 / edge], dtype)
    _, saved = op.forward(other, other)
    assert op.backward(saved, np.ones(2, dtype))[1].tolist() == [-1 / edge, -edge]


@both
def test_second_derivatives(op):
    # along x and other by 1: of grad_y (t / o - x t / o**2), with x = 3, o = 2, grad_y = 8
    _, saved = op.forward(np.array([3.0]), np.array([2.0]))
    grads = op.double_backward(saved, np.array([8.0]), {"x": np.ones(1), "other": np.ones(1)})
    # -g / o**2; -g / o**2 + 2 g x / o**3; 1 / o - x / o**2
    assert [g.tolist() for g in grads] == [[-2], [4], [-0.25]]


def test_its_matrix_is_that_of_x():
    matrix = ns.divide.matrix((1, 2), np.array([[2.0], [4.0]]))
    assert matrix.toarray().tolist() == [[0.5, 0], [0, 0.5], [0.25, 0], [0, 0.25]]
