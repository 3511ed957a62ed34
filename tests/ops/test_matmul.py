"""matmul: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.matmul, ns.matmul.reference])
A = np.array([[1.0, 2], [3, 4]])
B = np.array([[5.0, 6, 7], [8, 9, 10]])
AB = [[21, 24, 27], [47, 54, 61]]


@both
def test_a_product(op):
    assert op(A, B).tolist() == AB


@both
def test_vectors(op):
    v = np.array([1.0, 10])
    assert op(v, B).tolist() == [85, 96, 107]
    assert op(A, v).tolist() == [21, 43]
    assert op(v, v) == 101
    assert op(v, np.stack([A, A + 1])).tolist() == [[31, 42], [42, 53]]


@both
def test_stacks_broadcast(op):
    x, other = np.stack([A, 2 * A])[:, None], np.stack([B, -B, 3 * B])
    y = op(x, other)
    assert y.shape == (2, 3, 2, 3)
    factors = [[1, -1, 3], [2, -2, 6]]
    for i, j in np.ndindex(2, 3):
        assert y[i, j].tolist() == (factors[i][j] * np.array(AB)).tolist()


@both
def test_a_sum_of_nothing(op):
    assert op(np.zeros((2, 0)), np.zeros((0, 3))).tolist() == [[0] * 3] * 2


@both
def test_the_gradients_of_what_is_repeated_are_sums(op):
    _, saved = op.forward(np.stack([A, 2 * A]), B)
    grad = np.zeros((2, 2, 3))
    grad[0, 0, 0], grad[1, 1, 2] = 1, 10
    gx, gother = op.backward(saved, grad)
    assert gx.tolist() == [[[5, 8], [0, 0]], [[0, 0], [70, 100]]]
    # x.T @ grad: row 0 of A in column 0, and ten times row 1 of 2 A in column 2
    assert gother.tolist() == [[1, 0, 60], [2, 0, 80]]
    _, saved = op.forward(A, np.stack([B, 2 * B]))
    gx, gother = op.backward(saved, grad)
    assert gx.tolist() == [[5, 8], [140, 200]]
    assert gother.tolist() == [[[1, 0, 0], [2, 0, 0]], [[0, 0, 30], [0, 0, 40]]]
