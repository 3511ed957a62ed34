"""deform_conv2d against values worked out by hand, and where its derivative has kinks."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize(
    "op", [ns.deform_conv2d, ns.deform_conv2d.reference], ids=["cpu", "ref"]
)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BOUNDARIES = ["torchvision", "mmcv", "mxnet"]

SQUARE = np.array([[[[1.0, 2.0], [4.0, 8.0]]]])
ONE = np.ones((1, 1, 1, 1))


def _samples(op, image, places, **params):
    """The image at these places, by a call for each of them."""
    return [_sample(op, image, place, **params)[0] for place in places]


def _sample(op, image, place, **params):
    """The one pixel of y that a 1 x 1 kernel with a stride of the image's size has, and saved."""
    offset = np.array(place, image.dtype).reshape(1, 2, 1, 1)
    one = np.ones((1, image.shape[1], 1, 1), image.dtype)
    y, saved = op.forward(image, offset, one, stride=9, **params)
    return y.item(), saved


def _integers(rng, *shape, dtype=np.float64):
    return rng.integers(-4, 5, shape).astype(dtype)


@FACES
@DTYPES
@pytest.mark.parametrize("groups", [1, 2])
def test_without_offsets_it_is_conv2d(op, dtype, groups):
    rng = np.random.default_rng(0)
    x, w = (
        _integers(rng, 2, 4, 6, 5, dtype=dtype),
        _integers(rng, 6, 4 // groups, 3, 2, dtype=dtype),
    )
    b = _integers(rng, 6, dtype=dtype)
    params = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)}
    wanted, conv = ns.conv2d.forward(x, w, b, **params, groups=groups)
    offset = np.zeros((2, 12 * 2, *wanted.shape[2:]), dtype)  # two offset groups
    y, saved = op.forward(x, offset, w, b, **params)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, wanted)
    gy = _integers(rng, *y.shape, dtype=dtype)
    gx, _, gw, gb, _ = op.backward(saved, gy)
    for got, by_conv in zip((gx, gw, gb), ns.conv2d.backward(conv, gy), strict=True):
        np.testing.assert_array_equal(got, by_conv)


@FACES
def test_integer_offsets_shift(op):
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    offset = np.zeros((1, 2, 3, 3))
    offset[:, 0], offset[:, 1] = 1, -1  # a row down, a column to the left
    np.testing.assert_array_equal(op(x, offset, ONE)[0, 0], [[0, 4, 5], [0, 7, 8], [0, 0, 0]])


@FACES
def test_half_offsets_average(op):
    assert _samples(op, SQUARE, [(0.5, 0), (0, 0.5), (0.5, 0.5), (0.5, 0.25)]) == [
        2.5,
        1.5,
        3.75,
        3.125,
    ]


@FACES
def test_each_tap_has_a_row_and_a_column_and_a_factor(op):
    # a kernel of one row, taps 10 and 100, on one row of pixels; output column 0 alone
    x, w = np.array([[[[1.0, 2.0, 3.0, 4.0]]]]), np.array([[[[10.0, 100.0]]]])
    offset = np.zeros((1, 4, 1, 1))
    offset[0, 1], offset[0, 3] = 1, 1.5  # columns: 0 + 1, and 1 + 1.5
    assert op(x, offset, w, stride=4).item() == 10 * 2 + 100 * 3.5
    offset[0, 2] = 0.25  # the row of the second: a quarter is off the image
    assert op(x, offset, w, stride=4).item() == 10 * 2 + 100 * 3.5 * 0.75
    mask = np.array([2.0, -4.0]).reshape(1, 2, 1, 1)
    assert op(x, offset, w, stride=4, mask=mask).item() == 2 * 10 * 2 - 4 * 100 * 3.5 * 0.75
    assert op(x, offset, w, np.array([5.0]), 4, mask=mask).item() == 40 - 1050 + 5


@FACES
def test_stride_dilation_and_padding_place_the_taps(op):
    # a ramp of 10 * row + column; a column of two taps, 2 apart
    x = (10 * np.arange(6.0)[:, None] + np.arange(6.0))[None, None]
    w = np.array([[[[1.0], [100.0]]]])
    offset = np.full((1, 4, 3, 2), 0.5)
    y = op(x, offset, w, stride=(2, 3), padding=(1, 0, 0, 0), dilation=(2, 1))
    # output (1, 1): rows 2 - 1 + .5 and 2 more, column 3 + .5
    assert y[0, 0, 1, 1] == 18.5 + 100 * 38.5
    assert y[0, 0, 0, 0] == 0.5 * 0.5 + 100 * 15.5  # the first half off the image, at row -.5


PLACES = [-1.5, -1.0, -0.5, 0.0, 0.25, 1.0, 1.5, 2.0, 2.5]
VALUES = {
    "torchvision": [0, 0, 0.5, 1, 1.75, 4, 2, 0, 0],
    "mmcv": [0, 0, 0.5, 1, 1.75, 4, 2, 0, 0],
    "mxnet": [0, 0, 0, 1, 1.75, 4, 4, 0, 0],
}
SLOPES = {
    "torchvision": [0, 1, 1, 3, 3, -4, -4, 0, 0],
    "mmcv": [0, 0, 1, 3, 3, -4, -4, 0, 0],
    "mxnet": [0, 0, 0, 3, 3, 0, 0, 0, 0],
}


@FACES
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_border(op, boundary):
    """The values 1 and 4, along the rows and then along the columns."""
    for place, value, slope in zip(PLACES, VALUES[boundary], SLOPES[boundary], strict=True):
        for axis, image in enumerate((SQUARE, SQUARE.transpose(0, 1, 3, 2))):
            y, saved = _sample(op, image, (0, place) if axis else (place, 0), boundary=boundary)
            assert y == value, place
            goffset = op.backward(saved, ONE, needs=["offset"])[1]
            assert goffset[0, axis].item() == slope, place


@FACES
def test_an_image_of_one_pixel(op):
    x = np.array([[[[8.0]]]])
    assert _samples(op, x, [(0, 0), (0.25, 0.5), (-0.25, 0), (1, 0), (0, -1)]) == [8, 3, 6, 0, 0]
    got = _samples(op, x, [(0, 0), (0.25, 0.5), (-0.25, 0), (1, 0)], boundary="mxnet")
    assert got == [8, 8, 0, 0]
    _, saved = _sample(op, x, (0.25, 0.5))
    gx, goffset, gw, _, _ = op.backward(saved, ONE)
    assert [gx.item(), *goffset.ravel(), gw.item()] == [0.375, -4, -6, 3]
    _, saved = _sample(op, x, (0.25, 0.5), boundary="mxnet")
    gx, goffset, gw, _, _ = op.backward(saved, ONE)
    assert [gx.item(), *goffset.ravel(), gw.item()] == [1, 0, 0, 8]


@FACES
def test_an_image_without_pixels(op):
    x, offset = np.zeros((1, 2, 0, 3)), np.zeros((1, 2, 2, 3))
    y, saved = op.forward(x, offset, np.ones((1, 2, 1, 1)), np.ones(1), padding=(1, 0))
    np.testing.assert_array_equal(y, np.ones((1, 1, 2, 3)))
    gx, goffset, gw, gb, _ = op.backward(saved, y)
    assert gx.shape == x.shape
    assert not goffset.any()
    assert not gw.any()
    assert gb.item() == 6


@FACES
def test_offset_groups_are_runs_of_channels(op):
    x = np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 4, 1, 1) * [1.0, 2.0]
    offset = np.zeros((1, 4, 1, 1))
    offset[0, 3] = 1  # the column of the second group
    mask = np.array([1.0, 3.0]).reshape(1, 2, 1, 1)
    w = np.ones((1, 4, 1, 1))
    assert op(x, offset, w, stride=2).item() == 1 + 10 + 200 + 2000
    y, saved = op.forward(x, offset, w, stride=2, mask=mask)
    assert y.item() == 11 + 3 * 2200
    gx, goffset, _, _, gmask = op.backward(saved, ONE)
    np.testing.assert_array_equal(gx[0, :, 0], [[1, 0], [1, 0], [0, 3], [0, 3]])
    assert gmask.ravel().tolist() == [11, 2200]
    # to the right of column 1 is nothing: the slope is minus the pixel. So it is below row 0
    assert goffset.ravel().tolist() == [-11, 11, -6600, -6600]


@FACES
def test_groups_of_channels_and_of_offsets_are_independent(op):
    # 6 channels: 3 groups of 2 for w, 2 groups of 3 for offset
    x = np.arange(1.0, 7.0).reshape(1, 6, 1, 1) * [1.0, 0.0]
    offset = np.zeros((1, 4, 1, 1))
    offset[0, 3] = 1  # channels 4, 5, 6 read the zero
    w = np.array([[1.0, 1.0], [10.0, 1.0], [1.0, 1.0]]).reshape(3, 2, 1, 1)
    assert op(x, offset, w, stride=2).ravel().tolist() == [3, 30, 0]


@FACES
def test_gradients_by_hand(op):
    # row 1/2, column 1/4: rows weigh .5 .5, columns .75 .25; the sample is 3.125
    offset = np.array([0.5, 0.25]).reshape(1, 2, 1, 1)
    y, saved = op.forward(SQUARE, offset, 2 * ONE, np.ones(1), 2, mask=3 * ONE)
    assert y.item() == 2 * 3 * 3.125 + 1
    gx, goffset, gw, gb, gmask = op.backward(saved, 8 * ONE)
    np.testing.assert_array_equal(gx, [[[[18, 6], [18, 6]]]])
    # by row (4 - 1) .75 + (8 - 2) .25, by column .5 (2 - 1) + .5 (8 - 4), times 48
    assert goffset.ravel().tolist() == [180, 120]
    assert [gw.item(), gb.item(), gmask.item()] == [75, 8, 50]


@FACES
def test_nan_and_infinity(op):
    x = np.array([[[[1.0, np.nan, 2.0]]]])
    # on pixel 0, the next one is read with weight 0; pixel 2 has no next one
    assert np.isnan(_samples(op, x, [(0, 0), (0, 0.5), (0, 1)])).all()
    assert _samples(op, x, [(0, 2), (0, 3), (0, -2), (5, 1), (-2, 0)]) == [2, 0, 0, 0, 0]
    # at exactly -1 pixel 0 is read, with weight 0
    assert np.isnan(_sample(op, np.array([[[[np.nan]]]]), (-1, 0))[0])
    assert _sample(op, np.array([[[[np.nan]]]]), (-1, 0), boundary="mxnet")[0] == 0
    # far places are outside, a place that is no number gives no number
    inf, nan = np.inf, np.nan
    assert (
        _samples(op, SQUARE, [(inf, 0), (0, -inf), (inf, inf), (1e300, 0), (0, -1e300)]) == [0] * 5
    )
    for place in [(nan, 0), (0, nan), (nan, nan), (nan, 9), (inf, nan)]:
        for boundary in BOUNDARIES:
            y, saved = _sample(op, SQUARE, place, boundary=boundary)
            assert np.isnan(y), place
            gx, goffset, gw, _, _ = op.backward(saved, ONE)
            assert not gx.any()
            assert np.isnan(goffset).any()
            assert np.isnan(gw).all()


@FACES
@DTYPES
def test_huge_offsets_are_outside(op, dtype):
    rng = np.random.default_rng(0)
    x, w = _integers(rng, 1, 2, 5, 5, dtype=dtype), _integers(rng, 3, 2, 3, 3, dtype=dtype)
    largest = np.finfo(dtype).max
    offset = rng.choice([-largest, largest, 2.0**31, -(2.0**63), 1e20], (1, 18, 5, 5)).astype(dtype)
    y, saved = op.forward(x, offset, w, padding=1)
    assert not y.any()
    for gradient in op.backward(saved, np.ones_like(y)):
        assert gradient is None or not gradient.any() or gradient.shape == (3,)


@FACES
def test_places_are_exact_for_float32_offsets(op):
    # pixel 8 and nearly 1: in float32 their sum would be 9, where the slope is another
    x = (np.arange(12.0) ** 2).astype(np.float32).reshape(1, 1, 1, 12)
    offset = np.zeros((1, 2, 1, 12), np.float32)
    offset[0, 1, 0, 8] = np.nextafter(np.float32(1), np.float32(0))
    _, saved = op.forward(x, offset, np.ones((1, 1, 1, 1), np.float32))
    assert op.backward(saved, np.ones_like(x))[1][0, 1, 0, 8] == 81 - 64


def _everywhere(rng, dtype, boundary, n, c, f, size, groups, offset_groups, reach):
    """Integers, with offsets that are halves: on pixels and on all borders of the boundary."""
    h, w = size
    taps = offset_groups * 6
    offset = rng.integers(-2 * reach, 2 * reach + 1, (n, 2 * taps, h, w)) / 2
    arguments = {
        "x": _integers(rng, n, c, h, w, dtype=dtype),
        "offset": offset.astype(dtype),
        "weight": _integers(rng, f, c // groups, 3, 2, dtype=dtype),
        "mask": _integers(rng, n, taps, h, w, dtype=dtype),
        "padding": (1, 1, 1, 0),
        "boundary": boundary,
    }
    return arguments, _integers(rng, n, f, h, w, dtype=dtype)


@DTYPES
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("n", "c", "f", "size", "groups", "offset_groups", "reach"),
    [
        (2, 4, 6, (3, 4), 2, 1, 4),
        (1, 3, 1, (1, 1), 1, 3, 2),
        (1, 1, 2, (1, 7), 1, 1, 7),
        (2, 40, 20, (17, 31), 2, 4, 3),  # several bands, more than a vector of either
        (1, 6, 70, (25, 30), 1, 1, 40),  # all slices touch all rows
        (20, 2, 2, (5, 3), 1, 2, 2),
    ],
)
def test_on_pixels_and_borders_the_kernels_have_the_bits_of_the_definition(
    dtype, boundary, n, c, f, size, groups, offset_groups, reach
):
    rng = np.random.default_rng([c, f])
    shape = n, c, f, size, groups, offset_groups, reach
    arguments, gy = _everywhere(rng, dtype, boundary, *shape)
    y, saved = ns.deform_conv2d.forward(**arguments)
    wanted, as_saved = ns.deform_conv2d.reference.forward(**arguments)
    np.testing.assert_array_equal(y, wanted)
    pairs = zip(
        ns.deform_conv2d.backward(saved, gy),
        ns.deform_conv2d.reference.backward(as_saved, gy),
        strict=True,
    )
    for got, gradient in pairs:
        np.testing.assert_array_equal(got, gradient)


def test_the_number_of_threads_changes_no_bit():
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=s).astype(np.float32) for s in ((2, 24, 20, 21), (40, 12, 3, 3)))
    offset = rng.normal(size=(2, 54, 20, 21), scale=4).astype(np.float32)
    mask = rng.normal(size=(2, 27, 20, 21)).astype(np.float32)
    gy = rng.normal(size=(2, 40, 20, 21)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.deform_conv2d.forward(x, offset, w, padding=1, mask=mask)
            results.append((y, *ns.deform_conv2d.backward(saved, gy)))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_nan_stays_in_its_group():
    # one channel and one filter to a group: vectors of the kernels reach into other groups
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 5, 4, 4)), rng.normal(size=(5, 1, 3, 3))
    offset = rng.uniform(-1, 1, (1, 90, 4, 4))
    x[0, 2], gy = np.nan, rng.normal(size=(1, 5, 4, 4))
    gy[0, 1] = np.nan
    y, saved = ns.deform_conv2d.forward(x, offset, w, padding=1)
    gx, _, gw, _, _ = ns.deform_conv2d.backward(saved, gy)
    assert np.isnan(y).any((0, 2, 3)).tolist() == [False, False, True, False, False]
    assert np.isnan(gx).any((0, 2, 3)).tolist() == [False, True, False, False, False]
    assert np.isnan(gw).any((1, 2, 3)).tolist() == [False, True, True, False, False]


def test_the_matrix():
    # the sample of test_gradients_by_hand, and beside it the pixel below the corner, off the image
    offset = np.zeros((1, 2, 1, 2))
    offset[0, :, 0, 0], offset[0, :, 0, 1] = (0.5, 0.25), (1, 0.5)
    mask = np.array([3.0, 1.0]).reshape(1, 1, 1, 2)
    m = ns.deform_conv2d.matrix((1, 1, 2, 2), offset, 2 * ONE, stride=(2, 1), mask=mask)
    wanted = [[2.25, 0.75, 2.25, 0.75], [0, 0, 0, 1]]
    np.testing.assert_array_equal(m.toarray(), wanted)


@FACES
def test_second_derivatives_by_hand(op):
    # the sample of test_gradients_by_hand: slopes 3.75 and 2.5, mixed second 1 - 2 - 4 + 8 = 3
    offset = np.array([0.5, 0.25]).reshape(1, 2, 1, 1)
    _, saved = op.forward(SQUARE, offset, 2 * ONE, None, 2, mask=3 * ONE)
    along = np.array([10.0, 100.0]).reshape(1, 2, 1, 1)
    gx, goffset, gw, _, gmask, ggy = op.double_backward(saved, 8 * ONE, {"offset": along})
    assert goffset.ravel().tolist() == [48 * 3 * 100, 48 * 3 * 10]
    moved = 10 * 3.75 + 100 * 2.5
    assert [gw.item(), gmask.item(), ggy.item()] == [24 * moved, 16 * moved, 6 * moved]
    # rows weigh .5 .5 with slopes -1 1, columns .75 .25 with slopes -1 1
    by_row, by_column = np.array([[-0.75, -0.25], [0.75, 0.25]]), np.array([[-0.5, 0.5]] * 2)
    np.testing.assert_array_equal(gx[0, 0], 48 * (10 * by_row + 100 * by_column))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_on_pixels_and_borders_forward_mode_is_the_transpose_of_backward(boundary):
    rng = np.random.default_rng(0)
    shape = 2, 4, 6, (3, 4), 2, 2, 4
    arguments, gy = _everywhere(rng, np.float64, boundary, *shape)
    _, saved = ns.deform_conv2d.forward(**arguments)
    gradients = ns.deform_conv2d.backward(saved, gy)
    for name, gradient in zip(ns.deform_conv2d.differentiable, gradients, strict=True):
        if gradient is not None:
            along = _integers(rng, *gradient.shape)
            _, tangent = ns.deform_conv2d.jvp(**arguments, tangents={name: along})
            assert np.sum(tangent * gy) == np.sum(gradient * along), name
