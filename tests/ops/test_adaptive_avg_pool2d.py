"""adaptive_avg_pool2d and global_avg_pool2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.adaptive_avg_pool2d, ns.adaptive_avg_pool2d.reference])
both_global = pytest.mark.parametrize("op", [ns.global_avg_pool2d, ns.global_avg_pool2d.reference])
nan = np.nan


def _row(*values):
    return np.array(values, float).reshape(1, 1, 1, -1)


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_that_divide_the_image(op, dtype):
    x = np.arange(16, dtype=dtype).reshape(1, 1, 4, 4)
    y = op(x, 2)
    assert y.dtype == dtype
    assert y[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


@both
def test_bins_overlap_where_they_do_not(op):
    x = _row(1, 2, 4, 8, 16)
    # floor(p 5/2) .. ceil((p + 1) 5/2): 0..3, 2..5
    assert op(x, (1, 2)).ravel().tolist() == [7 / 3, 28 / 3]
    # 0..2, 1..4, 3..5
    assert op(x, (None, 3)).ravel().tolist() == [1.5, 14 / 3, 12]
    assert op(x.reshape(1, 1, 5, 1), (3, None)).ravel().tolist() == [1.5, 14 / 3, 12]


@both
def test_more_bins_than_pixels(op):
    # 0..1, 0..2, 1..2: the middle bin has both
    assert op(_row(2, 4), (1, 3)).ravel().tolist() == [2, 3, 4]
    assert op(_row(7), (2, 3)).tolist() == [[[[7] * 3] * 2]]


@both
def test_none_keeps_the_size_and_zero_is_empty(op):
    x = np.arange(6.0).reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(op(x, (None, None)), x)
    assert op(x, [1, None]).tolist() == [[[[1.5, 2.5, 3.5]]]]
    y, saved = op.forward(x, (0, 2))
    assert y.shape == (1, 1, 0, 2)
    assert op.backward(saved, y)[0].tolist() == np.zeros_like(x).tolist()


@both
def test_the_gradient_is_shared_out_and_overlaps_add_up(op):
    _, saved = op.forward(_row(0, 0, 0, 0, 0), (1, 2))
    gx = op.backward(saved, _row(3, 30))[0]
    assert gx.ravel().tolist() == [1, 1, 11, 10, 10]
    x = np.zeros((1, 2, 3, 2))
    _, saved = op.forward(x, (2, 1))  # rows 0..2 and 1..3
    gx = op.backward(saved, np.array([[[[4.0], [8]], [[0], [4]]]]))[0]
    assert gx.tolist() == [[[[1, 1], [3, 3], [2, 2]], [[0, 0], [1, 1], [1, 1]]]]


@both
def test_nan_and_infinity_stay_in_their_bins(op):
    y = op(_row(nan, 1, 2, 3, np.inf, 1), (1, 3))
    np.testing.assert_array_equal(y.ravel(), [nan, 2.5, np.inf])


def test_the_matrix():
    m = ns.adaptive_avg_pool2d.matrix((1, 1, 1, 3), (1, 2))
    assert m.toarray().tolist() == [[0.5, 0.5, 0], [0, 0.5, 0.5]]


def test_rows_longer_than_a_vector():
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 40, 67)).astype(np.float32)
    for size in (1, 2, 7, (40, 67), (5, 66)):
        np.testing.assert_allclose(
            ns.adaptive_avg_pool2d(x, size), ns.adaptive_avg_pool2d.reference(x, size), rtol=1e-5
        )


@both_global
def test_the_mean_of_a_plane(op):
    x = np.array([[[[1.0, 2], [3, 6]], [[0, 0], [0, -4]]]])
    y, saved = op.forward(x)
    assert y.tolist() == [[[[3]], [[-1]]]]
    gx = op.backward(saved, np.array([[[[4.0]], [[8]]]]))[0]
    assert gx.tolist() == [[[[1, 1], [1, 1]], [[2, 2], [2, 2]]]]
    assert np.isnan(op(np.array([[[[nan, 1.0]]]]))).all()


def test_the_matrix_of_a_global_mean():
    assert ns.global_avg_pool2d.matrix((1, 2, 1, 2)).toarray().tolist() == [
        [0.5, 0.5, 0, 0],
        [0, 0, 0.5, 0.5],
    ]
