"""index_select: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.index_select, ns.index_select.reference])
X = np.arange(12.0).reshape(2, 3, 2)


@both
def test_entries_in_any_order(op):
    assert op(X, np.array([2, 0, 2]), 1).tolist() == [
        [[4, 5], [0, 1], [4, 5]],
        [[10, 11], [6, 7], [10, 11]],
    ]
    assert op(X, np.array([1]), 0).tolist() == [X[1].tolist()]
    np.testing.assert_array_equal(op(X, np.array([-1, -2]), -1), X[..., ::-1])


@both
def test_none(op):
    assert op(X, np.zeros(0, int), 2).shape == (2, 3, 0)


@both
def test_the_gradient_adds_copies_up(op):
    _, saved = op.forward(X, np.array([2, 0, -1]), 1)
    (gx,) = op.backward(saved, np.arange(1.0, 13).reshape(2, 3, 2))
    assert gx.tolist() == [[[3, 4], [0, 0], [6, 8]], [[9, 10], [0, 0], [18, 20]]]


@both
@pytest.mark.parametrize("part", [slice(1, None), slice(None, None, -1), slice(4, None, -2)])
def test_slices_and_tiles(op, part):
    row = np.arange(5.0)
    np.testing.assert_array_equal(op(row, np.arange(5)[part], 0), row[part])
    np.testing.assert_array_equal(op(row, np.tile(np.arange(5), 3), 0), np.tile(row, 3))
