"""pixel_shuffle2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.pixel_shuffle2d, ns.pixel_shuffle2d.reference])
# the channel of y and the place within the cell of each channel of x, in either mode
CRD = ["a00", "a01", "a10", "a11", "b00", "b01", "b10", "b11"]
DCR = ["a00", "b00", "a01", "b01", "a10", "b10", "a11", "b11"]


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_channels_become_cells(op, dtype):
    x = np.array([[[1, 2]], [[3, 4]], [[5, 6]], [[7, np.nan]]], dtype)[None]
    y = op(x, 2)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[[[1, 3, 2, 4], [5, 7, 6, np.nan]]]])


@both
@pytest.mark.parametrize(("mode", "order"), [("CRD", CRD), ("DCR", DCR)])
def test_the_order_of_channels(op, mode, order):
    # the number 10 c + 2 i + j for channel c, row i, column j of y
    number = {name: 10 * "ab".index(name[0]) + int(name[1:], 2) for name in order}
    x = np.array([number[name] for name in order], np.float64).reshape(1, 8, 1, 1)
    assert op(x, 2, mode=mode).tolist() == [[[[0, 1], [2, 3]], [[10, 11], [12, 13]]]]


@both
def test_factor_1_changes_nothing(op):
    x = np.arange(12.0).reshape(1, 3, 2, 2)
    assert (op(x, 1) == x).all()
    assert (op(x, 1, mode="DCR") == x).all()


@both
def test_the_gradient_goes_back_to_its_channel(op):
    _, saved = op.forward(np.zeros((1, 4, 1, 2)), 2)
    grad = np.array([[[[1.0, 2, 3, 4], [5, 6, 7, 8]]]])
    (gx,) = op.backward(saved, grad)
    assert gx.tolist() == [[[[1, 3]], [[2, 4]], [[5, 7]], [[6, 8]]]]


def test_the_matrix_is_a_permutation():
    m = ns.pixel_shuffle2d.matrix((1, 8, 1, 2), 2, mode="DCR").toarray()
    assert (m @ m.T == np.eye(16)).all()
    assert np.argmax(m[1]) == 4  # row 0, column 1 of the first channel is the third of x
