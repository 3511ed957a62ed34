"""crop: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

X = np.arange(24.0).reshape(1, 2, 3, 4)

both = pytest.mark.parametrize("op", [ns.crop, ns.crop.reference])


@both
def test_rows_and_columns_have_their_own_offset(op):
    assert op(X, (1, 2), (2, 1)).tolist() == [[[[9, 10]], [[21, 22]]]]
    assert op(X, (2, 1), offset=(0, 3)).tolist() == [[[[3], [7]], [[15], [19]]]]
    assert (op(X, (3, 4)) == X).all()
    assert op(X, 0, offset=3).shape == (1, 2, 0, 0)


@both
def test_the_gradient_is_zero_around_the_crop(op):
    _, saved = op.forward(X[:, :1], (1, 2), (2, 1))
    gx = op.backward(saved, np.array([[[[8.0, 9.0]]]]))[0]
    assert gx[0, 0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 8, 9, 0]]


def test_reach():
    rows, columns = ns.crop.plan(X.shape, 1, offset=(2, 3)).reach
    assert (rows.first, rows.last, columns.first) == (2, 2, 3)
