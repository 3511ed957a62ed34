"""crop_and_resize against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize(
    "op", [ns.crop_and_resize, ns.crop_and_resize.reference], ids=["cpu", "ref"]
)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

SQUARES = (np.arange(5.0) ** 2).reshape(1, 1, 1, 5)  # 0 1 4 9 16, one row
RAMP = np.arange(16.0).reshape(1, 1, 4, 4)  # bilinear: 4 * row + column at every place inside
FIRST = np.array([0])


def _box(*values, dtype=np.float64):
    return np.array([values], dtype)


@FACES
@DTYPES
def test_a_grid_from_corner_to_corner(op, dtype):
    # columns 1/8 * 4 to 7/8 * 4: .5, 2, 3.5 by 1.5 each; the squares there: .5, 4, 12.5
    x = SQUARES.astype(dtype)
    y = op(x, _box(0, 1 / 8, 0, 7 / 8, dtype=dtype), FIRST, (2, 3))
    assert y.dtype == dtype
    assert y.tolist() == [[[[0.5, 4, 12.5]] * 2]]
    # the whole image in its own size is the image
    assert op(x, _box(0, 0, 1, 1, dtype=dtype), FIRST, (1, 5)).tolist() == x.tolist()


@FACES
def test_a_crop_of_one_pixel_is_the_middle(op):
    y = op(RAMP, _box(0, 0.5, 1, 1), FIRST, 1)  # row 1.5, column 2.25
    assert y.item() == 6 + 2.25


@FACES
def test_rows_and_columns_and_mirrored_boxes(op):
    # rows 0, 1.5 and columns 3, 1.5, 0
    y = op(RAMP, _box(0, 1, 0.5, 0), FIRST, (2, 3))
    assert y.tolist() == [[[[3, 1.5, 0], [9, 7.5, 6]]]]


@FACES
def test_outside_is_the_extrapolation_value(op):
    # columns -2 0 2 4 6: on the border is inside
    y = op(SQUARES + 1, _box(0, -0.5, 0, 1.5), FIRST, (1, 5))
    assert y.tolist() == [[[[0, 1, 5, 17, 0]]]]
    y = op(SQUARES + 1, _box(0, -0.5, 0, 1.5), FIRST, (1, 5), extrapolation_value=-7)
    assert y.tolist() == [[[[-7, 1, 5, 17, -7]]]]
    # rows alike: -1.5, 1.5, 4.5
    y = op(RAMP, _box(-0.5, 0, 1.5, 0), FIRST, (3, 1), extrapolation_value=np.inf)
    assert y.tolist() == [[[[np.inf], [6], [np.inf]]]]


@FACES
def test_nearest_takes_halves_up(op):
    # columns .5, 1.5, 2.5, 3.5 and one step to the left of each by a quarter
    for shift, wanted in ((0, [1, 4, 9, 16]), (-0.25, [0, 1, 4, 9])):
        box = _box(0, (0.5 + shift) / 4, 0, (3.5 + shift) / 4)
        assert op(SQUARES, box, FIRST, (1, 4), method="nearest").tolist() == [[[wanted]]]


@FACES
def test_each_box_has_its_image(op):
    x = np.array([1.0, 10, 100]).reshape(3, 1, 1, 1)
    boxes, index = np.zeros((4, 4)), np.array([2, 0, 2, 1], np.int32)
    y, saved = op.forward(x, boxes, index, 1)
    assert y.ravel().tolist() == [100, 1, 100, 10]
    gx, gboxes = op.backward(saved, np.array([1.0, 2, 4, 8]).reshape(4, 1, 1, 1))
    assert gx.ravel().tolist() == [2, 8, 5]
    assert not gboxes.any()  # in an image of one pixel nothing moves


@FACES
def test_gradients_by_hand(op):
    # Samples at columns 1/2 and 5/2 of the squares: slopes 1 and 5, with weights 1 and 10. Column
    # p is 4 x1 + p * 4 (x2 - x1): the first sample moves with x1 alone, the last with x2.
    box = _box(0, 1 / 8, 1, 5 / 8)
    _, saved = op.forward(SQUARES, box, FIRST, (1, 2))
    gx, gbox = op.backward(saved, np.array([[[[1.0, 10]]]]))
    assert gx.tolist() == [[[[0.5, 0.5, 5, 5, 0]]]]
    assert gbox.tolist() == [[0, 4 * 1, 0, 4 * 50]]
    # three samples, the middle one, at 3/2 with slope 3, moves half with each; rows of the ramp:
    # slope 4, one sample in the middle
    _, saved = op.forward(SQUARES, box, FIRST, (1, 3))
    gbox = op.backward(saved, np.array([[[[0.0, 1, 0]]]]))[1]
    assert gbox.tolist() == [[0, 6, 0, 6]]
    _, saved = op.forward(RAMP, _box(0.25, 0.25, 0.5, 0.5), FIRST, 1)
    assert op.backward(saved, np.ones((1, 1, 1, 1)))[1].tolist() == [[6, 1.5, 6, 1.5]]


@FACES
def test_the_kinks_of_the_coordinates(op):
    # one sample, in the middle of a box of no size, at columns of the squares; beyond, nothing
    slopes = {-0.5: 0, 0: 1, 0.5: 1, 1: 3, 2: 5, 3: 7, 3.5: 7, 4: 7, 4.5: 0}
    for place, slope in slopes.items():
        box = _box(0, place / 4, 0, place / 4)
        _, saved = op.forward(SQUARES, box, FIRST, 1)
        gbox = op.backward(saved, np.ones((1, 1, 1, 1)))[1]
        assert gbox.tolist() == [[0, 2 * slope, 0, 2 * slope]], place
        _, saved = op.forward(SQUARES, box, FIRST, 1, on_pixels="zero")
        gbox = op.backward(saved, np.ones((1, 1, 1, 1)))[1]
        assert gbox[0, 1] == (0 if place == int(place) else 2 * slope), place
        _, saved = op.forward(SQUARES, box, FIRST, 1, method="nearest")
        assert not op.backward(saved, np.ones((1, 1, 1, 1)))[1].any()


@FACES
def test_a_whole_image_in_its_own_size_has_a_gradient(op):
    # The ramp moved by a column changes by 1 everywhere; TensorFlow's rule says 0.
    for on_pixels, total in (("right", 16 * 3 * 1), ("zero", 0)):
        _, saved = op.forward(RAMP, _box(0, 0, 1, 1), FIRST, 4, on_pixels=on_pixels)
        gbox = op.backward(saved, np.ones((1, 1, 4, 4)))[1][0]
        assert gbox[1] + gbox[3] == total
        assert gbox[0] + gbox[2] == 4 * total


@FACES
def test_nan(op):
    x = np.array([[[[1.0, np.nan, np.inf, 2.0]]]])
    on = [_box(0, p / 3, 0, p / 3) for p in range(4)]
    right = [op(x, box, FIRST, 1).item() for box in on]
    assert np.isnan(right[:3]).all()  # the next pixel is read with weight 0
    assert np.isnan(right[3])  # and on the last one the one before it
    zero = [op(x, box, FIRST, 1, on_pixels="zero").item() for box in on]
    assert zero[0] == 1
    assert np.isnan(zero[1])
    assert zero[3] == 2
    nearest = [op(x, box, FIRST, 1, method="nearest").item() for box in on]
    np.testing.assert_array_equal(nearest, x.ravel())


@FACES
def test_places_are_computed_in_a_chosen_arithmetic(op):
    # x1 = float32(.1), x2 = float32(.7), W - 1 = 3; the last of 4 samples, between pixels 2 and 3
    x = np.array([0.0, 0, 0, 1]).reshape(1, 1, 1, 4).astype(np.float32)
    box = np.array([[0, 0.1, 0, 0.7]], np.float32)
    single, double = (
        op(x, box, FIRST, (1, 4), arithmetic=a)[0, 0, 0, 3] for a in ("float32", "float64")
    )
    f = np.float32
    place = f(0.1) * f(3) + f(3) * ((f(0.7) - f(0.1)) * f(3) / f(3))
    assert single == np.float32(place - 2)
    assert double == np.float32(3 * np.float64(f(0.7)) - 2)
    assert single != double


@FACES
def test_tangents_and_second_derivatives(op):
    # One sample at row 1/2, column 1/4 of [[1, 2], [4, 8]], H - 1 = W - 1 = 1: slopes 3.75 and 2.5,
    # mixed derivative 3; a crop of one pixel moves half with each end.
    square = np.array([[[[1.0, 2], [4, 8]]]])
    call = (square, _box(0.25, 0, 0.75, 0.5), FIRST, 1)
    dx, dbox = np.array([[[[8.0, 0], [0, 80]]]]), _box(4, 2, 6, 4)
    for tangents, wanted in (
        ({"x": dx}, 8 * 0.375 + 80 * 0.125),
        ({"boxes": dbox}, 5 * 3.75 + 3 * 2.5),
        ({"x": dx, "boxes": dbox}, 13 + 26.25),
    ):
        dy = op.jvp(*call, tangents=tangents, extrapolation_value=5)[1]
        assert dy.item() == wanted
    outside = op.jvp(square, _box(2, 0, 2, 0), FIRST, 1, tangents={"x": dx}, extrapolation_value=5)
    assert (outside[0].item(), outside[1].item()) == (5, 0)
    _, saved = op.forward(*call)
    gy = np.full((1, 1, 1, 1), 8.0)
    gx, gboxes, ggy = op.double_backward(saved, gy, {"boxes": _box(0, 1, 0, 0)})
    assert gx.tolist() == [[[[-2, 2], [-2, 2]]]]
    assert gboxes.tolist() == [[6, 0, 6, 0]]
    assert ggy.item() == 1.25


def test_the_matrix():
    box = _box(0.25, 0, 0.75, 0.5)
    m = ns.crop_and_resize.matrix((2, 1, 2, 2), box, np.array([1]), 1, extrapolation_value=3)
    np.testing.assert_array_equal(m.toarray(), [[0, 0, 0, 0, 0.375, 0.125, 0.375, 0.125]])
    a = ns.crop_and_resize.linear_operator((2, 1, 2, 2), box, np.array([1]), 1)
    np.testing.assert_array_equal(a @ np.eye(8), m.toarray())


def test_boxes_written_to_after_forward_are_refused():
    box = _box(0, 0, 1, 1)
    _, saved = ns.crop_and_resize.forward(RAMP, box, FIRST, 1)
    box[0, 0] = np.nan
    with pytest.raises(ns.ArgumentError, match=r"^crop_and_resize.backward: boxes\[0, 0\] is nan"):
        ns.crop_and_resize.backward(saved, np.ones((1, 1, 1, 1)))


def test_upright_samples_of_roi_align_are_the_same():
    # the same places, as a box of pixels around them: bins of one sample each
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 18, 9, 13))
    low, high = rng.uniform(0, 4, (7, 2)), rng.uniform(5, 8, (7, 2))  # the first and last samples
    index, (oh, ow) = rng.integers(0, 2, 7), (4, 3)
    boxes = np.concatenate([low, high], 1) / [8, 12, 8, 12]
    half = (high - low) / (oh - 1, ow - 1) / 2
    rois = np.concatenate([index[:, None], (low - half)[:, ::-1], (high + half)[:, ::-1]], 1)
    y = ns.crop_and_resize(x, boxes, index, (oh, ow))
    np.testing.assert_allclose(y, ns.roi_align(x, rois, (oh, ow), sampling_ratio=1), atol=1e-13)
