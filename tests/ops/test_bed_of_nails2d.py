"""bed_of_nails2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

X = np.array([[[[1.0, 2.0], [3.0, np.nan]]]])

both = pytest.mark.parametrize("op", [ns.bed_of_nails2d, ns.bed_of_nails2d.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nails_stand_top_left(op, dtype):
    y = op(X.astype(dtype), (2, 3))
    assert y.dtype == dtype
    np.testing.assert_array_equal(
        y[0, 0],
        [
            [1, 0, 0, 2, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [3, 0, 0, np.nan, 0, 0],
            [0, 0, 0, 0, 0, 0],
        ],
    )


@both
def test_the_gradient_is_that_of_the_nails(op):
    _, saved = op.forward(np.zeros((1, 2, 1, 2)), (2, 3))
    grad = np.arange(24.0).reshape(1, 2, 2, 6)  # the second plane starts at 12
    assert op.backward(saved, grad)[0].tolist() == [[[[0, 3]], [[12, 15]]]]


def test_the_matrix_has_a_one_for_each_nail():
    m = ns.bed_of_nails2d.matrix((1, 2, 1, 2), (2, 3))
    assert m.shape == (24, 4)
    assert m.indices.tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(np.diff(m.indptr)).tolist() == [0, 3, 12, 15]
    assert (m.data == 1).all()


def test_is_the_transposed_convolution_with_one_tap():
    x = np.random.default_rng(0).normal(size=(2, 1, 3, 4))
    w = np.zeros((1, 1, 2, 3))
    w[0, 0, 0, 0] = 1
    np.testing.assert_array_equal(
        ns.bed_of_nails2d(x, (2, 3)), ns.conv_transpose2d(x, w, stride=(2, 3))
    )


def test_only_nails_read_the_image():
    rows, columns = ns.bed_of_nails2d.plan((1, 1, 4, 4), (2, 1)).reach
    assert (rows.stride, rows.first, rows.last) == (0.5, 0, 0)  # 1 reads 0.5: no pixel
    assert (columns.stride, columns.first, columns.last) == (1, 0, 0)


def test_is_unpooling_where_every_index_is_the_first_pixel():
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4))
    indices = ns.max_pool2d(np.zeros((2, 3, 6, 12)), (2, 3), return_indices=True)[1]
    np.testing.assert_array_equal(ns.bed_of_nails2d(x, (2, 3)), ns.max_unpool2d(x, indices, (2, 3)))
