"""avg_pool2d: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

X = np.arange(16.0).reshape(1, 1, 4, 4)

both = pytest.mark.parametrize("op", [ns.avg_pool2d, ns.avg_pool2d.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_of_two_by_two(op, dtype):
    # (0 + 1 + 4 + 5) / 4, two further for each step right, eight for each step down
    y = op(X.astype(dtype), 2)
    assert y.dtype == dtype
    assert y[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


@both
def test_rows_and_columns_have_their_own_kernel_and_stride(op):
    # rows p and p + 1, column 0, 2
    assert op(X, (2, 1), (1, 2))[0, 0].tolist() == [[2, 4], [6, 8], [10, 12]]


@both
@pytest.mark.parametrize(
    ("include", "counts"), [(True, [[9, 9], [9, 9]]), (False, [[4, 6], [6, 9]])]
)
def test_padding_counts_or_does_not(op, include, counts):
    # 3 x 3 windows from rows and columns -1 and 1:
    # 0+1+4+5, 1+2+3+5+6+7 | 4+5+8+9+12+13, 5+6+7+9+10+11+13+14+15
    sums = np.array([[10, 24], [51, 90]])
    y = op(X, 3, stride=2, padding=1, count_include_pad=include)
    np.testing.assert_array_equal(y[0, 0], sums / counts)


@both
@pytest.mark.parametrize(
    ("padding", "include", "expected"),
    [
        # windows of 3 from -1, 1, 3: the last reaches 2 beyond x, of which one is padding
        (1, True, [1 / 3, 6 / 3, 3 / 2]),
        (1, False, [1 / 2, 6 / 3, 3 / 1]),
        # windows from 0, 2: the last reaches beyond the image, and nothing there counts
        (0, True, [3 / 3, 5 / 2]),
        (0, False, [3 / 3, 5 / 2]),
    ],
)
def test_ceil_mode_never_counts_what_lies_beyond_the_padding(op, padding, include, expected):
    x = np.arange(4.0).reshape(1, 1, 1, 4)  # 0 1 2 3
    y = op(x, (1, 3), (1, 2), (0, padding), ceil_mode=True, count_include_pad=include)
    assert y[0, 0, 0].tolist() == expected


@both
@pytest.mark.parametrize(
    ("i", "kernel", "stride", "padding", "expected"),
    [
        (2, 3, 2, 0, 2.5),  # the mean of 1, 2, 3, 4: what lies beyond is not counted
        (1, 2, 2, 0, 1.0),
        (1, 3, 2, 1, 1 / 9),  # but padding is
        (3, 7, 3, 1, 45 / 25),
    ],
)
def test_ceil_mode_has_one_window_where_it_is_larger_than_the_image(
    op, i, kernel, stride, padding, expected
):
    """As PyTorch 2.13 gives them."""
    x = np.arange(1.0, i * i + 1).reshape(1, 1, i, i)
    y = op(x, kernel, stride, padding, ceil_mode=True)
    np.testing.assert_allclose(y, [[[[expected]]]], rtol=1e-15)


@both
def test_ceil_mode_drops_a_window_that_would_start_after_the_image(op):
    # five columns, one of padding: windows of 2 start at -1, 2, 5; the third is all padding
    x = np.ones((1, 1, 1, 5))
    y = op(x, (1, 2), (1, 3), (0, 1), ceil_mode=True)
    assert y[0, 0, 0].tolist() == [0.5, 1.0]


@both
def test_divisor_override_divides_every_sum(op):
    y = op(X, 2, padding=1, divisor_override=3)
    assert y[0, 0].tolist() == [[0, 1, 1], [4, 10, 6], [4, 9, 5]]
    # sums: 0, 1+2, 3 | 4+8, 5+6+9+10, 7+11 | 12, 13+14, 15


@both
def test_four_sides(op):
    y = op(X, 2, stride=2, padding=(0, 0, 1, 1), count_include_pad=False)
    # rows 0..1: columns 0, 1..2, 3
    assert y[0, 0].tolist() == [[2, 3.5, 5], [10, 11.5, 13]]
    assert op(X, 3, 1, "same").shape == (1, 1, 4, 4)


@both
def test_nan_and_infinity_stay_in_their_windows(op):
    x = X.copy()
    x[0, 0, 0, 0], x[0, 0, 3, 3] = np.nan, np.inf
    np.testing.assert_array_equal(op(x, 2)[0, 0], [[np.nan, 4.5], [10.5, np.inf]])


@both
def test_the_gradient_is_shared_out(op):
    _, saved = op.forward(X, 2)
    gx = op.backward(saved, np.array([[[[4.0, 8.0], [12.0, -16.0]]]]))[0]
    assert gx[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, -4, -4], [3, 3, -4, -4]]


@both
def test_gradients_of_overlapping_windows_add_up(op):
    x = np.zeros((1, 1, 1, 4))
    _, saved = op.forward(x, (1, 2), 1, (0, 1), count_include_pad=False)
    # windows {0} {0 1} {1 2} {2 3} {3}; divisors 1 2 2 2 1
    gx = op.backward(saved, np.array([[[[1.0, 2, 4, 6, 8]]]]))[0]
    assert gx[0, 0, 0].tolist() == [1 + 1, 1 + 2, 2 + 3, 3 + 8]


@both
def test_pixels_in_no_window_have_no_gradient(op):
    _, saved = op.forward(np.zeros((1, 1, 1, 6)), (1, 1), (1, 3))
    assert op.backward(saved, np.ones((1, 1, 1, 2)))[0][0, 0, 0].tolist() == [1, 0, 0, 1, 0, 0]


def test_the_matrix():
    m = ns.avg_pool2d.matrix((1, 1, 1, 3), (1, 2), 1, (0, 1), count_include_pad=False)
    assert m.toarray().tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1]]
    m = ns.avg_pool2d.matrix((1, 1, 2, 2), 2, divisor_override=8)
    assert m.toarray().tolist() == [[0.125] * 4]


@both
def test_an_empty_image_padded_to_one_window(op):
    y, saved = op.forward(np.zeros((1, 1, 0, 2)), (2, 2), padding=(1, 0))
    assert y.tolist() == [[[[0]]]]
    y, saved = op.forward(np.zeros((1, 1, 0, 2)), (2, 2), padding=(1, 0), count_include_pad=False)
    assert y.tolist() == [[[[0]]]]
    assert op.backward(saved, y)[0].shape == (1, 1, 0, 2)


@both
def test_caffe_keeps_an_empty_last_window_without_padding(op):
    x = np.arange(1.0, 5).reshape(1, 1, 1, 4)
    # windows of 2 from 0 and 4: the second starts after the image
    how = {"ceil_mode": True, "ceil_rule": "caffe"}
    assert op(x, (1, 2), (1, 4), ceil_mode=True).ravel().tolist() == [1.5]
    for include in (True, False):
        y, saved = op.forward(x, (1, 2), (1, 4), count_include_pad=include, **how)
        assert y.ravel().tolist() == [1.5, 0]
        assert op.backward(saved, np.full_like(y, 4))[0].ravel().tolist() == [2, 2, 0, 0]
    # with padding it is dropped: from -1 and 3 of 3 pixels
    assert op(x[..., :3], (1, 2), (1, 4), (0, 1), **how).ravel().tolist() == [0.5]


@both
def test_padding_up_to_one_less_than_the_window(op):
    y = op(np.array([[[[3.0, 6]]]]), (1, 3), 1, (0, 2))
    assert y.ravel().tolist() == [1, 3, 3, 2]
    y = op(np.array([[[[3.0, 6]]]]), (1, 3), 1, (0, 2), count_include_pad=False)
    assert y.ravel().tolist() == [3, 4.5, 4.5, 6]


@both
def test_tensorflows_same_counts_what_is_on_the_image(op):
    # 5 pixels, windows of 4 with stride 2: three windows, 3 of padding, one before and two after
    x = np.array([[[[2.0, 4, 6, 8, 1]]]])
    y = op(x, (1, 4), (1, 2), "same", count_include_pad=False)
    assert y.ravel().tolist() == [4, 19 / 4, 9 / 2]  # {2 4 6} {4 6 8 1} {8 1}
