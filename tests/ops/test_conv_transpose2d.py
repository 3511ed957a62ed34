"""conv_transpose2d: values worked out by hand, and the transpose it is named after."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.ops.conv_transpose2d import overlap

BOTH = pytest.mark.parametrize("op", [ns.conv_transpose2d, ns.conv_transpose2d.reference])


def image(*rows: list[float]) -> np.ndarray:
    return np.array([[rows]], np.float64)


@BOTH
def test_stamps_add_up_where_they_overlap(op):
    # 1 stamps [1 2 3] at 0, 10 stamps [10 20 30] at 2: column 2 gets 3 + 10
    y = op(image([1, 10]), image([1, 2, 3]), stride=2)
    np.testing.assert_array_equal(y, image([1, 2, 13, 20, 30]))


@BOTH
def test_padding_cuts_each_side_of_its_own(op):
    y = op(image([1, 10]), image([1, 2, 3]), stride=2, padding=(0, 0, 1, 2))
    np.testing.assert_array_equal(y, image([2, 13]))


@BOTH
def test_output_padding_adds_at_the_end(op):
    # rows: 2*(1-1) + 1 + 1 = 2, the second beyond every stamp
    y = op(image([1, 10]), image([1, 2, 3]), stride=2, output_padding=1)
    np.testing.assert_array_equal(y, image([1, 2, 13, 20, 30, 0], [0] * 6))


@BOTH
def test_output_padding_uncovers_what_padding_cut(op):
    y = op(image([1, 10]), image([1, 2, 3]), stride=2, padding=(0, 1), output_padding=(0, 1))
    np.testing.assert_array_equal(y, image([2, 13, 20, 30]))


@BOTH
def test_output_size_chooses_the_output_padding(op):
    x, w = image([1, 10]), image([1, 2, 3])
    y = op(x, w, stride=(1, 2), output_size=(1, 6))
    np.testing.assert_array_equal(y, image([1, 2, 13, 20, 30, 0]))


@BOTH
def test_dilation_spreads_the_stamp(op):
    y = op(image([1], [10]), image([1], [2]), dilation=(3, 1))
    np.testing.assert_array_equal(y, image([1], [10], [0], [2], [20]))


@BOTH
def test_groups_keep_to_their_channels_and_bias_is_per_output_channel(op):
    x = np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    w = np.array([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]).reshape(2, 2, 1, 1)
    y = op(x, w, np.array([0.5, 0.0, 0.0, -0.5]), groups=2)
    np.testing.assert_array_equal(y.ravel(), [1.5, 2.0, 30.0, 39.5])


@BOTH
def test_channels_mix_within_a_group(op):
    x = np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    w = np.arange(1.0, 7.0).reshape(2, 3, 1, 1)  # channel 0: 1 2 3, channel 1: 4 5 6
    np.testing.assert_array_equal(op(x, w).ravel(), [41.0, 52.0, 63.0])


@BOTH
def test_gradients_by_hand(op):
    # y = [x0 w0, x0 w1 + x1 w0, x1 w1] with x = (2, 3), w = (5, 7), grad_y = (1, 10, 100)
    _, saved = op.forward(image([2, 3]), image([5, 7]), np.zeros(1))
    gx, gw, gb = op.backward(saved, image([1, 10, 100]))
    np.testing.assert_array_equal(gx, image([5 + 70, 50 + 700]))
    np.testing.assert_array_equal(gw, image([2 + 30, 20 + 300]))
    np.testing.assert_array_equal(gb, [111])


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({}, (5, 6)),
        ({"stride": (2, 3)}, (7, 9)),
        ({"stride": 2, "padding": (1, 0, 0, 1), "dilation": (1, 2)}, (7, 8)),
        ({"stride": 2, "groups": 2, "padding": 1}, (6, 6)),
    ],
)
def test_is_the_transpose_of_the_convolution_matrix(params, size):
    rng = np.random.default_rng(0)
    groups = params.get("groups", 1)
    w = rng.integers(-3, 4, (4, 6 // groups, 3, 2)).astype(float)
    image_shape = (2, 6, *size)
    matrix = ns.conv2d.matrix(image_shape, w, **params)
    y_shape = ns.conv2d.output_shape(image_shape, w.shape, **params)
    x = rng.integers(-3, 4, y_shape).astype(float)
    y = ns.conv_transpose2d(x, w, output_size=size, **params)
    np.testing.assert_array_equal(y.ravel(), matrix.T @ x.ravel())
    assert y.shape == image_shape


def test_a_2x2_up_convolution_doubles_without_overlap():
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    y = ns.conv_transpose2d(x, np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]), stride=2)
    expected = [[1, 10, 2, 20], [100, 1000, 200, 2000], [3, 30, 4, 40], [300, 3000, 400, 4000]]
    np.testing.assert_array_equal(y[0, 0], expected)
    reach, _ = ns.conv_transpose2d.plan((1, 1, 2, 2), (1, 1, 2, 2), stride=2).reach
    assert (reach.stride, reach.first, reach.last) == (1 / 2, -1 / 2, 0)


def test_overlap_counts_the_stamps():
    counts = overlap((1, 1, 2, 4), (1, 1, 2, 3), stride=(1, 2))
    columns = [1, 1, 2, 1, 2, 1, 2, 1, 1]  # stamps at 0-2, 2-4, 4-6, 6-8
    assert counts.tolist() == [columns, [2 * c for c in columns], columns]
    # a kernel that the stride divides leaves no pattern, but for the borders
    assert overlap((1, 1, 1, 3), (1, 1, 1, 4), stride=2).tolist() == [[1, 1, 2, 2, 2, 2, 1, 1]]
    # 1 of 3 taps, dilated by 2, stride 3: stamps on 0 2 4 and 3 5 7, and on 8 nothing
    assert overlap(
        (1, 1, 1, 2),
        (1, 1, 1, 3),
        stride=3,
        dilation=2,
        output_padding=(0, 1),
        padding=(0, 0, 1, 0),
    ).tolist() == [[0, 1, 1, 1, 1, 0, 1, 0]]


def test_overlap_refuses_what_a_call_refuses():
    with pytest.raises(ns.ArgumentError, match="conv_transpose2d: stride must be at least 1"):
        overlap((1, 1, 2, 4), (1, 1, 2, 3), stride=0)


@BOTH
def test_an_average_divides_by_the_stamps_before_the_bias(op):
    x, w = image([1, 10]), image([1, 2, 3])
    y = op(x, w, np.array([0.5]), stride=2, overlap="average")
    np.testing.assert_array_equal(y, image([1.5, 2.5, 13 / 2 + 0.5, 20.5, 30.5]))
    # nothing lies on the pixel between two stamps
    np.testing.assert_array_equal(
        op(x, image([2]), np.array([7.0]), stride=2, overlap="average"), image([9, 7, 27])
    )


@BOTH
def test_the_gradient_of_an_average(op):
    # y = [x0 w0, (x0 w1 + x1 w0) / 2, x1 w1] + b with x = (2, 3), w = (5, 7), grad_y = (1, 10, 100)
    _, saved = op.forward(image([2, 3]), image([5, 7]), np.zeros(1), overlap="average")
    gx, gw, gb = op.backward(saved, image([1, 10, 100]))
    np.testing.assert_array_equal(gx, image([5 + 35, 25 + 700]))
    np.testing.assert_array_equal(gw, image([2 + 15, 10 + 300]))
    np.testing.assert_array_equal(gb, [111])


def test_the_matrix_of_an_average_has_rows_of_means():
    m = ns.conv_transpose2d.matrix((1, 1, 1, 2), np.ones((1, 1, 1, 3)), stride=2, overlap="average")
    assert m.toarray().tolist() == [[1, 0], [1, 0], [0.5, 0.5], [0, 1], [0, 1]]


SAME = [  # x = (0, 1, 0): where the stamp (1, 2, ...) lies among 3 * stride pixels
    (1, 2, "same", [0, 1, 2]),
    (1, 2, "same_lower", [1, 2, 0]),
    (2, 3, "same", [0, 0, 1, 2, 3, 0]),
    (2, 3, "same_lower", [0, 1, 2, 3, 0, 0]),
    (2, 4, "same", [0, 1, 2, 3, 4, 0]),
    (2, 4, "same_lower", [0, 1, 2, 3, 4, 0]),
    (3, 1, "same", [0, 0, 0, 1, 0, 0, 0, 0, 0]),  # gaps: no stamp reaches the end
    (3, 1, "same_lower", [0, 0, 0, 1, 0, 0, 0, 0, 0]),
]


@BOTH
@pytest.mark.parametrize(("stride", "k", "padding", "expected"), SAME)
def test_same_leaves_the_size_times_the_stride(op, stride, k, padding, expected):
    w = np.arange(1.0, k + 1)
    y = op(image([0, 1, 0]), w.reshape(1, 1, 1, k), stride=(1, stride), padding=padding)
    np.testing.assert_array_equal(y, image(expected))
    y = op(image([0], [1], [0]), w.reshape(1, 1, k, 1), stride=(stride, 1), padding=padding)
    np.testing.assert_array_equal(y[0, 0, :, 0], expected)


@BOTH
def test_same_leaves_output_size(op):
    x, w = image([0, 1, 0]), image([1, 2, 3])
    for size, padding, expected in [
        (5, "same", [0, 1, 2, 3, 0]),
        (4, "same", [0, 1, 2, 3]),  # 3 too many: one before, two after
        (4, "same_lower", [1, 2, 3, 0]),
        (8, "same", [0, 0, 1, 2, 3, 0, 0, 0]),  # one too few: zeros at the end
        (8, "same_lower", [0, 0, 1, 2, 3, 0, 0, 0]),
    ]:
        y = op(x, w, stride=(1, 2), padding=padding, output_size=(1, size))
        np.testing.assert_array_equal(y, image(expected))


def test_a_stride_far_beyond_the_image_takes_no_time():
    x, w = np.ones((1, 1, 1, 1)), np.arange(9.0).reshape(1, 1, 3, 3)
    y, saved = ns.conv_transpose2d.forward(x, w, stride=2**31 - 1)
    np.testing.assert_array_equal(y, w)
    gx, gw, _ = ns.conv_transpose2d.backward(saved, y)
    assert gx.item() == (w * w).sum()
    np.testing.assert_array_equal(gw, w)


@BOTH
@pytest.mark.parametrize("stride", [2, 3, 5, 20])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 25])
def test_an_infinite_pixel_stays_within_its_stamp(op, stride, k):
    x, w = np.ones((1, 1, 1, 5)), np.ones((1, 1, 1, k))
    x[..., 2] = np.inf
    y = op(x, w, stride=(1, stride))[0, 0, 0]
    stamped = (np.arange(len(y)) >= 2 * stride) & (np.arange(len(y)) < 2 * stride + k)
    assert np.isinf(y[stamped]).all()
    assert np.isfinite(y[~stamped]).all()
