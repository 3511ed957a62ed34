"""spatial_pyramid_pool2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize(
    "op", [ns.spatial_pyramid_pool2d, ns.spatial_pyramid_pool2d.reference]
)

X = np.array([[[[1.0, 2, 9], [4, 5, 6], [7, 8, 3]]]])


@both
def test_levels_one_after_the_other_and_channels_within_a_level(op):
    x = np.concatenate([X, -X], 1)
    y, indices = op(x, (1, 2), return_indices=True)
    assert y.tolist() == [[9, -1, 5, 9, 8, 8, -1, -2, -4, -3]]
    assert indices.tolist() == [[2, 0, 4, 2, 7, 7, 0, 1, 3, 8]]
    assert op(x, [2, 1]).tolist() == [[5, 9, 8, 8, -1, -2, -4, -3, 9, -1]]


@both
@pytest.mark.parametrize("mode", ["max", "avg"])
def test_a_level_is_an_adaptive_pooling(op, mode):
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 7, 5)).astype(float)
    pool = {"max": ns.adaptive_max_pool2d, "avg": ns.adaptive_avg_pool2d}[mode].reference
    expected = [pool(x, n).reshape(2, 3 * n * n) for n in (4, 1, 3)]
    np.testing.assert_allclose(op(x, (4, 1, 3), mode), np.concatenate(expected, 1), rtol=1e-14)


@both
def test_means(op):
    # 45 / 9; rows and columns 0..2 and 1..3
    assert op(X, (1, 2), "avg").tolist() == [[5, 12 / 4, 22 / 4, 24 / 4, 22 / 4]]


@both
def test_caffe_pads_and_does_not_overlap(op):
    # 3 in 2 bins: k = 2, padding (4 - 3 + 1) // 2 = 1: bins {row 0} and {rows 1, 2}
    assert op(X, (2,), bins="caffe").tolist() == [[1, 9, 7, 8]]
    # the divisor counts the padding: 2 x 2 in every bin
    assert op(X, (2,), "avg", "caffe").tolist() == [[1 / 4, 11 / 4, 11 / 4, 22 / 4]]
    # 7 in 3 bins: k = 3, padding 1: {0 1} {2 3 4} {5 6}, the last one with one of padding
    row = np.arange(7.0).reshape(1, 1, 1, 7).repeat(3, 2)
    assert op(row, (3,), "avg", "caffe")[0, :3].tolist() == [1 / 3, 3, 11 / 3]
    # 5 in 2 bins: k = 3, padding 1, and of that nothing is left at the end: {0 1} {2 3 4}
    row = np.arange(5.0).reshape(1, 1, 1, 5).repeat(2, 2)
    assert op(row, (2,), "avg", "caffe")[0, :2].tolist() == [1 / 3, 3]


@both
def test_gradients_of_all_levels_add_up(op):
    _, saved = op.forward(X, (1, 2))
    gx = op.backward(saved, np.array([[1.0, 10, 100, 1000, 2000]]))[0]
    assert gx.tolist() == [[[[0, 0, 101], [0, 10, 0], [0, 3000, 0]]]]
    _, saved = op.forward(X, (1, 2), "avg")
    gx = op.backward(saved, np.array([[9.0, 4, 8, 12, 16]]))[0]
    assert gx.tolist() == [[[[2, 4, 3], [5, 11, 7], [4, 8, 5]]]]
    _, saved = op.forward(X, (2,), "avg", "caffe")
    gx = op.backward(saved, np.array([[4.0, 8, 12, 16]]))[0]
    assert gx.tolist() == [[[[1, 2, 2], [3, 4, 4], [3, 4, 4]]]]


@both
def test_each_image_has_its_row(op):
    x = np.concatenate([X, 10 * X])
    y, saved = op.forward(x, (1, 2))
    assert y.tolist() == [[9, 5, 9, 8, 8], [90, 50, 90, 80, 80]]
    gx = op.backward(saved, np.array([[1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]))[0]
    assert np.flatnonzero(gx).tolist() == [2, 9 + 4]


def test_the_length_does_not_depend_on_the_image():
    for size in [(1, 1), (13, 9), (64, 3)]:
        assert ns.spatial_pyramid_pool2d.output_shape((2, 5, *size)) == (2, 5 * 21)


def test_the_matrix_of_means():
    m = ns.spatial_pyramid_pool2d.matrix((1, 1, 1, 2), (1, 2), "avg")
    assert m.toarray().tolist() == [[0.5, 0.5], [1, 0], [0, 1], [1, 0], [0, 1]]
    with pytest.raises(ns.ArgumentError, match="linear only for given indices"):
        ns.spatial_pyramid_pool2d.matrix((1, 1, 1, 2), (1, 2))


def test_indices_changed_after_forward_write_nothing_outside():
    _, saved = ns.spatial_pyramid_pool2d.forward(X, (1,))
    saved.indices[...] = 9
    for op in (ns.spatial_pyramid_pool2d, ns.spatial_pyramid_pool2d.reference):
        assert not op.backward(saved, np.ones((1, 1)))[0].any()


def test_the_matrix_of_maxima_at_their_indices():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    y, indices = ns.spatial_pyramid_pool2d(x, return_indices=True)
    m = ns.spatial_pyramid_pool2d.matrix(x.shape, indices=indices)
    np.testing.assert_array_equal(m @ x.ravel(), y.ravel())
    a = ns.spatial_pyramid_pool2d.linear_operator(x.shape, indices=indices)
    np.testing.assert_array_equal(a @ x.ravel(), y.ravel())
    np.testing.assert_array_equal(a.T @ y.ravel(), m.T @ y.ravel())
    means = ns.spatial_pyramid_pool2d.linear_operator(x.shape, mode="avg")
    np.testing.assert_allclose(means @ x.ravel(), ns.spatial_pyramid_pool2d(x, mode="avg").ravel())
