"""pixel_unshuffle2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.pixel_unshuffle2d, ns.pixel_unshuffle2d.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cells_become_channels(op, dtype):
    x = np.array([[[[1, 3, 2, 4], [5, 7, 6, np.nan]]]], dtype)
    y = op(x, 2)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[[[1, 2]], [[3, 4]], [[5, 6]], [[7, np.nan]]]])


@both
@pytest.mark.parametrize(
    ("mode", "order"),
    [("CRD", [0, 1, 2, 3, 10, 11, 12, 13]), ("DCR", [0, 10, 1, 11, 2, 12, 3, 13])],
)
def test_the_order_of_channels(op, mode, order):
    # the number 10 c + 2 i + j for channel c, row i, column j of x
    x = np.array([[[[0, 1], [2, 3]], [[10, 11], [12, 13]]]], np.float64)
    assert op(x, 2, mode=mode).ravel().tolist() == order


@both
@pytest.mark.parametrize("mode", ["CRD", "DCR"])
def test_shuffled_again_it_is_what_it_was(op, mode):
    x = np.arange(2 * 3 * 6 * 9.0).reshape(2, 3, 6, 9)
    y = op(x, 3, mode=mode)
    assert y.shape == (2, 27, 2, 3)
    assert (ns.pixel_shuffle2d(y, 3, mode=mode) == x).all()


@both
def test_the_gradient_goes_back_to_its_pixel(op):
    _, saved = op.forward(np.zeros((1, 1, 2, 4)), 2)
    grad = np.array([[[[1.0, 3]], [[2, 4]], [[5, 7]], [[6, 8]]]])
    (gx,) = op.backward(saved, grad)
    assert gx.tolist() == [[[[1, 2, 3, 4], [5, 6, 7, 8]]]]


def test_a_pixel_reads_its_cell():
    rows, columns = ns.pixel_unshuffle2d.plan((1, 1, 6, 6), 3).reach
    assert rows == columns == (3, 0, 2)


def test_the_matrix_is_the_inverse_of_a_shuffles():
    m = ns.pixel_unshuffle2d.matrix((1, 2, 2, 4), 2, mode="DCR")
    shuffle = ns.pixel_shuffle2d.matrix((1, 8, 1, 2), 2, mode="DCR")
    assert (m @ shuffle).toarray().tolist() == np.eye(16).tolist()
