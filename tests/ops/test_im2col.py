"""im2col and col2im: values worked out by hand, and what they are to a convolution."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

COLUMNS = pytest.mark.parametrize("im2col", [ns.im2col, ns.im2col.reference])
IMAGES = pytest.mark.parametrize("col2im", [ns.col2im, ns.col2im.reference])


@COLUMNS
def test_rows_are_channel_and_tap_columns_are_windows(im2col):
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    expected = [[0, 1], [1, 2], [3, 4], [4, 5], [6, 7], [7, 8], [9, 10], [10, 11]]
    np.testing.assert_array_equal(im2col(x, 2)[0], expected)


@COLUMNS
def test_padding_reads_as_zero_on_its_own_side(im2col):
    x = np.array([[[[1.0, 2.0]]]])
    # one row of padding above, one column right: windows start at columns 0, 1
    y = im2col(x, (2, 2), padding=(1, 0, 0, 1))
    np.testing.assert_array_equal(y[0], [[0, 0], [0, 0], [1, 2], [2, 0]])


@COLUMNS
def test_stride_and_dilation(im2col):
    x = np.arange(7.0).reshape(1, 1, 1, 7)
    y = im2col(x, (1, 2), stride=(1, 3), dilation=(1, 2))
    np.testing.assert_array_equal(y[0], [[0, 3], [2, 5]])


@IMAGES
def test_overlaps_add_up(col2im):
    # windows of two over four pixels: [1 2], [3 4], [5 6]
    y = col2im(np.array([[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]]), (1, 4), (1, 2))
    np.testing.assert_array_equal(y, [[[[1, 5, 9, 6]]]])


@IMAGES
def test_what_lies_in_the_padding_is_dropped(col2im):
    y = col2im(np.array([[[1.0, 2.0], [3.0, 4.0]]]), (1, 1), (1, 2), padding=(0, 1))
    np.testing.assert_array_equal(y, [[[[5]]]])  # [1 3] at -1 keeps 3, [2 4] at 0 keeps 2


def test_convolution_is_a_product_with_the_columns():
    rng = np.random.default_rng(1)
    x = rng.integers(-4, 5, (2, 3, 6, 7)).astype(np.float32)
    w = rng.integers(-4, 5, (5, 3, 3, 2)).astype(np.float32)
    params = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)}
    y = ns.conv2d(x, w, **params)
    product = w.reshape(5, -1) @ ns.im2col(x, (3, 2), **params)
    np.testing.assert_array_equal(y, product.reshape(y.shape))


def test_each_is_the_gradient_of_the_other():
    rng = np.random.default_rng(2)
    x = rng.integers(-4, 5, (1, 2, 5, 4)).astype(float)
    y, saved = ns.im2col.forward(x, 3, padding=1, stride=2)
    (gx,) = ns.im2col.backward(saved, y)
    np.testing.assert_array_equal(gx, ns.col2im(y, (5, 4), 3, padding=1, stride=2))
    image, saved = ns.col2im.forward(y, (5, 4), 3, padding=1, stride=2)
    (gy,) = ns.col2im.backward(saved, image)
    np.testing.assert_array_equal(gy, ns.im2col(image, 3, padding=1, stride=2))


def test_tensorflows_patches_are_the_columns_transposed():
    """extract_patches of (N, H, W, C): a patch is in order of rows, columns, channels."""
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    channels_last = x.transpose(0, 2, 3, 1)
    columns = ns.im2col(x, 2, stride=(1, 2))  # 2 x 2 windows
    patches = columns.reshape(1, 2, 4, 2, 2).transpose(0, 3, 4, 2, 1).reshape(1, 2, 2, 8)
    for p, q in np.ndindex(2, 2):
        window = channels_last[0, p : p + 2, 2 * q : 2 * q + 2]
        assert patches[0, p, q].tolist() == window.ravel().tolist()
