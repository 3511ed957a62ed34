"""conv2d: values computed by hand, borders, groups, padding rules, NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.conv2d, ns.conv2d.reference], ids=["cpu", "reference"])


def image(rows, columns, channels=1):
    """Channel c holds 100 c + its row-major positions 0, 1, 2, ..."""
    positions = np.arange(float(rows * columns)).reshape(rows, columns)
    return np.stack([positions + 100 * c for c in range(channels)])[None]


def kernel(*rows):
    return np.array(rows, float)[None, None]


@both
def test_it_is_a_correlation_the_kernel_is_not_flipped(op):
    # 0 1 2      y[0, 0] = 1*0 + 2*1 + 3*3 + 4*4 = 27, and a step right or down adds 10 * (1 or 3)
    # 3 4 5
    # 6 7 8
    y = op(image(3, 3), kernel([1, 2], [3, 4]))
    assert y[0, 0].tolist() == [[27, 37], [57, 67]]


@both
def test_bias_is_added_once_per_filter(op):
    y = op(image(2, 2), np.ones((2, 1, 1, 1)), np.array([10.0, -1.0]))
    assert y[0].tolist() == [[[10, 11], [12, 13]], [[-1, 0], [1, 2]]]


@both
def test_channels_are_summed(op):
    # 1 * position + 2 * (position + 100)
    w = np.array([1.0, 2.0]).reshape(1, 2, 1, 1)
    assert op(image(1, 3, 2), w)[0, 0].tolist() == [[200, 203, 206]]


@both
def test_asymmetric_padding_stride_and_dilation_of_their_own_in_each_axis(op):
    # Image 2 x 5 (0..4 / 5..9), padded by 1 row above and 2 columns to the right; kernel 2 x 3 of
    # ones, dilation (1, 2), stride (1, 3): rows {-1, 0}, {0, 1}; columns {0, 2, 4}, {3, 5, 7} but
    # 7 columns in all, indices 0..6: only {0, 2, 4} fits, and (7 - 5) // 3 + 1 = 1 column.
    y = op(image(2, 5), np.ones((1, 1, 2, 3)), stride=(1, 3), padding=(1, 0, 0, 2), dilation=(1, 2))
    assert y[0, 0].tolist() == [[0 + 2 + 4], [0 + 2 + 4 + 5 + 7 + 9]]
    # With one more column of padding there are two: {3, 5, 7} has only column 3 on the image.
    y = op(image(2, 5), np.ones((1, 1, 2, 3)), stride=(1, 3), padding=(1, 0, 0, 3), dilation=(1, 2))
    assert y[0, 0].tolist() == [[6, 3], [27, 3 + 8]]


@both
def test_groups_see_their_own_channels(op):
    # 4 channels of one pixel with values 1, 10, 100, 1000; 2 groups, 2 filters each.
    x = np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 4, 1, 1)
    w = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]).reshape(4, 2, 1, 1)
    assert op(x, w, groups=2)[0, :, 0, 0].tolist() == [21, 43, 6500, 8700]


@both
def test_depthwise_with_a_multiplier(op):
    # 2 channels, 4 filters: filters 0 and 1 see channel 0 (0 1 2), filters 2 and 3 channel 1.
    w = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]]).reshape(4, 1, 1, 2)
    y = op(image(1, 3, 2), w, groups=2)
    assert y[0, :, 0].tolist() == [[0, 1], [1, 2], [201, 203], [1, 1]]


@both
def test_images_of_a_batch_are_independent(op):
    x = np.stack([image(2, 2)[0], 10 + image(2, 2)[0]])
    y = op(x, kernel([1], [1]))
    assert y[:, 0].tolist() == [[[2, 4]], [[22, 24]]]


@pytest.mark.parametrize(("size", "sides", "outputs"), [(224, (0, 1), 112), (225, (1, 1), 113)])
def test_tensorflows_same(size, sides, outputs):
    # total = max((ceil(i / s) - 1) * s + k - i, 0): 224 gives 111*2 + 3 - 224 = 1, 225 gives 2.
    plan = ns.conv2d.plan((1, 1, size, 7), (1, 1, 3, 3), stride=2, padding="same")
    assert plan.outputs[0].shape == (1, 1, outputs, 4)
    assert plan.geometry.pt == sides[0]
    assert plan.geometry.pl == 1  # 7 columns: 3*2 + 3 - 7 = 2
    explicit = ns.conv2d.plan((1, 1, size, 7), (1, 1, 3, 3), stride=2, padding=(*sides, 1, 1))
    assert explicit.geometry == plan.geometry


@both
def test_same_puts_the_odd_pixel_after_the_image(op):
    # Four columns 0 1 2 3, k = 3, s = 2: padding (0, 1), windows {0, 1, 2} and {2, 3, -}.
    assert op(image(1, 4), np.ones((1, 1, 1, 3)), stride=2, padding="same")[0, 0].tolist() == [
        [3, 5]
    ]
    # k = 2, s = 1: padding (0, 1)
    assert op(image(1, 4), np.ones((1, 1, 1, 2)), padding="same")[0, 0].tolist() == [[1, 3, 5, 3]]


@pytest.mark.parametrize(
    "padding", [1, (1, 1), [1, 1, 1, 1], ((1, 1), (1, 1)), np.array([1, 1]), "same"]
)
def test_spellings_of_padding(padding):
    assert ns.conv2d.output_shape((2, 3, 5, 4), (6, 3, 3, 3), padding=padding) == (2, 6, 5, 4)


def test_valid_is_no_padding():
    assert ns.conv2d.output_shape((1, 1, 5, 4), (1, 1, 3, 2), padding="valid") == (1, 1, 3, 3)


@both
def test_gradients_by_hand(op):
    # x = 0 1 2 / 3 4 5, w = 1 2, stride (1, 2), padding 1 column to the right: windows {0, 1}, {2,}
    x, w, b = image(2, 3), kernel([1, 2]), np.array([5.0])
    y, saved = op.forward(x, w, b, stride=(1, 2), padding=(0, 0, 0, 1))
    assert y[0, 0].tolist() == [[7, 7], [16, 10]]
    gx, gw, gb = op.backward(saved, np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    assert gx[0, 0].tolist() == [[1, 2, 10], [100, 200, 1000]]
    # tap 0 meets 0, 2, 3, 5; tap 1 meets 1, padding, 4, padding
    assert gw[0, 0].tolist() == [[20 + 300 + 5000, 1 + 400]]
    assert gb.tolist() == [1111]


@both
def test_pixels_that_no_window_reads_have_gradient_zero(op):
    # stride 3, kernel 1: pixels 0 and 3 of 0..5 are read
    y, saved = op.forward(np.ones((1, 1, 1, 6)), kernel([7]), stride=3)
    gx, gw, gb = op.backward(saved, np.ones_like(y))
    assert gx[0, 0].tolist() == [[7, 0, 0, 7, 0, 0]]
    assert gw.tolist() == [[[[2]]]]
    assert gb is None


@both
def test_only_the_gradients_asked_for(op):
    y, saved = op.forward(image(3, 3), kernel([1, 2]), np.zeros(1))
    assert [g is None for g in op.backward(saved, y, needs=["weight"])] == [True, False, True]
    assert [g is None for g in op.backward(saved, y, needs=["x", "bias"])] == [False, True, False]


@both
def test_nan_reaches_its_windows_and_no_others(op):
    x = image(1, 6)
    x[0, 0, 0, 2] = np.nan
    y = op(x, kernel([1, 0, 1]), padding=(0, 1))
    assert np.isnan(y[0, 0, 0]).tolist() == [False, True, True, True, False, False]


@both
def test_no_channels_leave_the_bias(op):
    y = op(np.zeros((1, 0, 3, 3)), np.zeros((2, 0, 2, 2)), np.array([1.0, 2.0]))
    assert y[0, :, 0, 0].tolist() == [1, 2]


@both
def test_no_images_have_zero_gradients(op):
    y, saved = op.forward(np.zeros((0, 2, 3, 3)), np.ones((2, 2, 2, 2)), np.ones(2))
    gx, gw, gb = op.backward(saved, y)
    assert gx.shape == (0, 2, 3, 3)
    assert not gw.any()
    assert not gb.any()


def test_matrix_by_hand():
    # x = x0 x1 x2, w = 1 2, padding 1 column to the left: y = 2 x0, x0 + 2 x1, x1 + 2 x2
    m = ns.conv2d.matrix((1, 1, 1, 3), kernel([1, 2]), padding=(0, 0, 1, 0))
    assert m.toarray().tolist() == [[2, 0, 0], [1, 2, 0], [0, 1, 2]]


def test_cost():
    # 2 * 4 filters * 9 pixels * (2 channels in a group) * 9 taps, and 36 biases
    cost = ns.conv2d.cost((1, 4, 3, 3), (4, 2, 3, 3), (4,), padding=1, groups=2)
    assert cost.flops == 2 * 4 * 9 * 2 * 9 + 36
    assert cost.bytes == 4 * (36 + 72 + 4 + 36)


def test_errors_name_operator_argument_and_both_values():
    with pytest.raises(
        ns.ArgumentError,
        match=r"^conv2d: weight takes 3 channels per group, so x must have 3 channels in 1 group, "
        r"but x has 4$",
    ):
        ns.conv2d(np.zeros((1, 4, 3, 3)), np.zeros((1, 3, 1, 1)))


@pytest.mark.parametrize("op", [ns.conv2d, ns.conv2d.reference])
def test_same_lower_puts_the_odd_pixel_first(op):
    x, w = np.arange(1.0, 5).reshape(1, 1, 1, 4), np.array([[[[1.0, 10.0]]]])
    assert op(x, w, padding="same")[0, 0].tolist() == [[21, 32, 43, 4]]
    assert op(x, w, padding="same_lower")[0, 0].tolist() == [[10, 21, 32, 43]]
    assert op(x.reshape(1, 1, 4, 1), w.reshape(1, 1, 2, 1), padding="same_lower").ravel().tolist() \
        == [10, 21, 32, 43]  # fmt: skip
    # stride 2, kernel 3, 4 pixels: one row of padding in all
    w = np.array([[[[1.0, 10.0, 100.0]]]])
    assert op(x, w, stride=2, padding="same")[0, 0].tolist() == [[321, 43]]
    assert op(x, w, stride=2, padding="same_lower")[0, 0].tolist() == [[210, 432]]


@pytest.mark.parametrize("how", [{"stride": 2**31 - 1}, {"dilation": 2**31 - 1}])
def test_steps_far_beyond_the_image_take_no_time(how: Any) -> None:
    x, w = np.arange(16.0).reshape(1, 1, 4, 4), np.ones((1, 1, 1, 1))
    y, saved = ns.conv2d.forward(x, w, **how)
    np.testing.assert_array_equal(y, x[:, :, :1, :1] if "stride" in how else x)
    gx, gw, _ = ns.conv2d.backward(saved, y)
    assert gx.sum() == y.sum()
    assert gw.sum() == (y * y).sum()
