"""roi_align against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

FACES = pytest.mark.parametrize("op", [ns.roi_align, ns.roi_align.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

RAMP = np.arange(16.0).reshape(1, 1, 4, 4)  # bilinear: 4 * row + column at every place inside
SQUARE = np.array([[[[1.0, 2.0], [4.0, 8.0]]]])


def _roi(*box, n=0):
    return np.array([[n, *box]], float)


@FACES
@DTYPES
def test_a_sample_in_the_middle_of_each_bin(op, dtype):
    # x1 .5, y1 1, size 2 x 2, bins of 1: columns 1 2, rows 1.5 2.5
    y = op(RAMP.astype(dtype), _roi(0.5, 1, 2.5, 3).astype(dtype), 2, sampling_ratio=1)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[[[7, 8], [11, 12]]]])


@FACES
def test_aligned_boxes_begin_half_a_pixel_earlier(op):
    # columns .5 1.5, rows 1 2
    y = op(RAMP, _roi(0.5, 1, 2.5, 3), 2, sampling_ratio=1, aligned=True)
    np.testing.assert_array_equal(y, [[[[4.5, 5.5], [8.5, 9.5]]]])


@FACES
@pytest.mark.parametrize("ratio", [-1, 0, -7])
def test_adaptive_sampling_takes_the_ceiling_of_the_bin(op, ratio):
    # An image of squares of the column: 0 1 4 9. One bin of width 2.5: three samples, at 5/12,
    # 15/12, 25/12; between pixels the squares rise by 1, 3, 5: 5/12, 1 + 3/4, 4 + 5/12.
    x = np.tile(np.arange(4.0) ** 2, (4, 1))[None, None]
    y = op(x, _roi(0, 1, 2.5, 2), 1, sampling_ratio=ratio)
    np.testing.assert_allclose(y.item(), (5 / 12 + 1.75 + 4 + 5 / 12) / 3, rtol=1e-15)
    y = op(x, _roi(0, 1, 2.5, 2), 1, sampling_ratio=1)  # one sample, at 1.25
    assert y.item() == 1.75


@FACES
def test_scale_and_rectangular_output(op):
    # the box (1, 2, 3, 4) in the ramp; one row of two bins: row 3, columns 1.5 2.5
    y = op(RAMP, _roi(4, 8, 12, 16), (1, 2), spatial_scale=0.25, sampling_ratio=1)
    np.testing.assert_array_equal(y, [[[[13.5, 14.5]]]])


@FACES
def test_each_roi_has_its_image(op):
    x = np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1, 1)
    boxes = np.array([[2, 0, 0, 1, 1], [0, 0, 0, 1, 1], [2, 0, 0, 1, 1], [1, 0, 0, 1, 1]], float)
    assert op(x, boxes, 1).ravel().tolist() == [100, 1, 100, 10]
    _, saved = op.forward(x, boxes, 1)
    gx, _ = op.backward(saved, np.array([1.0, 2, 4, 8]).reshape(4, 1, 1, 1))
    assert gx.ravel().tolist() == [2, 8, 5]


@FACES
def test_the_border(op):
    # One sample, at the middle of a box of size 2 that begins at y - 1; the column is pixel 0.
    # Rows: at -1 and up to 0 the first pixel, at 1 and up to 2 the last, beyond -1 and 2 nothing.
    places = [-1.25, -1.0, -0.5, 0.0, 0.25, 1.0, 1.5, 2.0, 2.25]
    boxes = np.array([[0, -1, p - 1, 1, p + 1] for p in places])
    y = op(SQUARE, boxes, 1, sampling_ratio=1)
    assert y.ravel().tolist() == [0, 1, 1, 1, 1.75, 4, 4, 4, 0]
    # and the columns alike: 1 and 2, in row 0
    boxes = np.array([[0, p - 1, -1, p + 1, 1] for p in places])
    y = op(SQUARE, boxes, 1, sampling_ratio=1)
    assert y.ravel().tolist() == [0, 1, 1, 1, 1.25, 2, 2, 2, 0]


@FACES
def test_samples_outside_count(op):
    # Rows -1.5 -.5 .5 1.5: the first is 0, then 1, 2.5 and 4, in one bin
    y = op(SQUARE, _roi(-1, -2, 1, 2), 1, sampling_ratio=4)
    # columns -.75 -.25 .25 .75; row values r(1), r(2) of both pixels: means of the columns:
    # weight of pixel 1 is 0 0 .25 .75, a quarter on the mean. Rows of (1, 2): 0, (1, 2),
    # (2.5, 5), (4, 8); over 4: (1.875, 3.75), so 1.875 * .75 + 3.75 * .25
    assert y.item() == 1.875 * 0.75 + 3.75 * 0.25


@FACES
def test_samples_outside_clamped(op):
    # Rows -1.5 -.5 .5 1.5, columns -.75 -.25 .25 .75, as above, but the first row counts as the
    # second: rows of (1, 2), (1, 2), (2.5, 5), (4, 8)
    call, how = (SQUARE, _roi(-1, -2, 1, 2), 1), {"sampling_ratio": 4, "outside": "clamp"}
    y, saved = op.forward(*call, **how)
    assert y.item() == (8.5 * 0.75 + 17 * 0.25) / 4
    # only the third row moves with the box: its slopes 3 and 6, at 5/8 of the box, one of 4 rows
    gboxes = op.backward(saved, np.ones((1, 1, 1, 1)))[1]
    slope = (3 * 0.75 + 6 * 0.25) / 4
    assert gboxes[0, [2, 4]].tolist() == [slope * 3 / 8, slope * 5 / 8]
    # far away it is the pixel in the corner, in a maximum too
    for mode in ("avg", "max", "max_corners"):
        assert op(SQUARE, _roi(50, -80, 60, -70), 1, mode=mode, outside="clamp").item() == 2
    assert op(np.zeros((1, 1, 0, 3)), _roi(0, 0, 1, 1), 1, outside="clamp").item() == 0


@FACES
def test_small_and_inverted_boxes(op):
    point = _roi(0.5, 0.5, 0.5, 0.5)
    # not aligned, it is 1 large: one sample at (1, 1)
    assert op(SQUARE, point, 1).item() == 8
    assert op(SQUARE, _roi(0.5, 0.5, -3, -3), 1).item() == 8
    # aligned, a size of 0 has no adaptive sample, and a fixed one at the point itself: (0, 0)
    assert op(SQUARE, point, 1, aligned=True).item() == 0
    assert op(SQUARE, point, 1, sampling_ratio=2, aligned=True).item() == 1
    # an inverted one has none either; fixed ones run backwards
    assert op(SQUARE, _roi(1.5, 1.5, 0.5, 0.5), 2, aligned=True).tolist() == [[[[0, 0], [0, 0]]]]
    y = op(SQUARE, _roi(2, 2, 0, 0), 2, sampling_ratio=1, aligned=True)
    np.testing.assert_array_equal(y, [[[[8, 4], [2, 1]]]])  # from 1.5: places 1 and 0


@FACES
def test_max_takes_the_largest_sample_and_max_corners_the_largest_product(op):
    # samples at rows 0 and .5, columns .25 and .75
    boxes = _roi(0, -0.25, 1, 0.75)
    # row 0: 1.25 1.75; row .5: (2.5, 5): 3.125 4.375
    assert op(SQUARE, boxes, 1, sampling_ratio=2, mode="max").item() == 4.375
    # products at (.5, .75): .5 * .25 * (1, 4), .5 * .75 * (2, 8): 3
    assert op(SQUARE, boxes, 1, sampling_ratio=2, mode="max_corners").item() == 3
    # an image of ones, sampled between four pixels
    ones = np.ones((1, 1, 2, 2))
    assert op(ones, _roi(0, 0, 1, 1), 1, mode="max").item() == 1
    assert op(ones, _roi(0, 0, 1, 1), 1, mode="max_corners").item() == 0.25


@FACES
def test_a_sample_outside_takes_part_in_the_maximum_as_zero(op):
    # rows -1.5 and .5 (2 samples of a box of height 4 from -2.5)
    boxes = _roi(0, -2.5, 1, 1.5)
    for mode in ("max", "max_corners"):
        y, saved = op.forward(-SQUARE, boxes, 1, sampling_ratio=2, mode=mode)
        assert y.item() == 0
        gx, gboxes = op.backward(saved, np.ones((1, 1, 1, 1)))
        assert not gx.any()
        assert not gboxes.any()


@FACES
def test_gradients_of_an_average_by_hand(op):
    # One sample at row 1/2, column 1/4 of SQUARE, from a box of size 2 that begins at -1/2, -3/4.
    # Weights: rows .5 .5, columns .75 .25. By row: (4 - 1) .75 + (8 - 2) .25 = 3.75; by column
    # .5 (2 - 1) + .5 (8 - 4) = 2.5. Both ends of the box move the sample by half.
    _, saved = op.forward(SQUARE, _roi(-0.75, -0.5, 1.25, 1.5), 1, sampling_ratio=1)
    gx, gboxes = op.backward(saved, np.array([[[[8.0]]]]))
    np.testing.assert_array_equal(gx, [[[[3, 1], [3, 1]]]])
    np.testing.assert_array_equal(gboxes, [[0, 10, 15, 10, 15]])


@FACES
def test_gradients_of_an_average_of_two_bins_with_scale(op):
    # One row of two bins, columns .5 and 1.5 of the ramp, row 1; the box in pixels (0, 0, 2, 2).
    # The ramp has slope 1 along columns: bin 0 sits at 1/4 of the width, bin 1 at 3/4.
    # by x1: 2 (3/4 * 1 + 1/4 * 10), by x2: 2 (1/4 * 1 + 3/4 * 10), by y1 and y2: 2 * 4 * 11 / 2
    _, saved = op.forward(RAMP, _roi(0, 0, 1, 1), (1, 2), spatial_scale=2.0, sampling_ratio=1)
    _, gboxes = op.backward(saved, np.array([[[[1.0, 10.0]]]]))
    np.testing.assert_array_equal(gboxes, [[0, 6.5, 44, 15.5, 44]])


@FACES
def test_a_box_smaller_than_a_pixel_moves_with_its_start_alone(op):
    # clamped to size 1, sample at start + 1/2 = (1.5, 1.5); of the ramp the slopes are 4 and 1
    _, saved = op.forward(RAMP, _roi(1, 1, 1.5, 0.5), 1)
    _, gboxes = op.backward(saved, np.ones((1, 1, 1, 1)))
    np.testing.assert_array_equal(gboxes, [[0, 1, 4, 0, 0]])
    # at a size of exactly 1 both ends move it
    _, saved = op.forward(RAMP, _roi(1, 1, 2, 2), 1)
    _, gboxes = op.backward(saved, np.ones((1, 1, 1, 1)))
    np.testing.assert_array_equal(gboxes, [[0, 0.5, 2, 0.5, 2]])


@FACES
def test_the_kinks_of_the_coordinates(op):
    # one row of pixels 0 1 10, one sample at the middle of a box of size 2
    x = np.array([[[[0.0, 1.0, 10.0]]]])
    slopes = {-1.5: 0, -1: 0, -0.5: 0, 0: 1, 0.5: 1, 1: 9, 1.5: 9, 2: 0, 2.5: 0, 3: 0, 3.5: 0}
    for place, slope in slopes.items():
        boxes = _roi(place - 1, -1, place + 1, 1)
        _, saved = op.forward(x, boxes, 1, sampling_ratio=1)
        _, gboxes = op.backward(saved, np.ones((1, 1, 1, 1)))
        np.testing.assert_array_equal(gboxes, [[0, slope / 2, 0, slope / 2, 0]], str(place))


@DTYPES
@pytest.mark.parametrize("mode", ["max", "max_corners"])
def test_maxima_of_channels_side_by_side(mode, dtype):
    # a block of channels and a part of one, more bins than a vector has lanes; ties, NaN, infinity
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 3, (2, 19, 6, 7)).astype(dtype)
    x[0, 1, 2, 3], x[0, 17, 4, 4], x[1, 5, 5, 6] = np.nan, np.inf, -np.inf
    boxes = np.array([[1, 0, 0, 6, 5], [0, -3, 1.25, 4, 9], [1, 9, 9, 12, 12]], dtype)
    call = {"output_size": (5, 4), "mode": mode}
    y, saved = ns.roi_align.forward(x, boxes, **call)
    expected, kept = ns.roi_align.reference.forward(x, boxes, **call)
    np.testing.assert_allclose(y, expected, 1e-6)
    gy = rng.integers(-3, 3, y.shape).astype(dtype)
    found = ns.roi_align.backward(saved, gy)
    for grad, wanted in zip(found, ns.roi_align.reference.backward(kept, gy), strict=True):
        np.testing.assert_allclose(grad, wanted, 1e-5, 1e-5)


@FACES
def test_gradient_of_max_goes_to_the_first_winner(op):
    # samples at (0, 0), (0, 1): equal; the first takes all
    x = np.array([[[[3.0, 3.0]]]])
    boxes = _roi(-0.5, -0.5, 1.5, 0.5)
    _, saved = op.forward(x, boxes, 1, sampling_ratio=2, mode="max")
    np.testing.assert_array_equal(op.backward(saved, np.ones((1, 1, 1, 1)))[0], [[[[1, 0]]]])
    # between pixels, "max" gives to all four and "max_corners" to the winner; see the values above
    boxes = _roi(0, -0.25, 1, 0.75)
    _, saved = op.forward(SQUARE, boxes, 1, sampling_ratio=2, mode="max")
    gx, gboxes = op.backward(saved, np.full((1, 1, 1, 1), 8.0))
    np.testing.assert_array_equal(gx, [[[[1, 3], [1, 3]]]])
    # the winner at (.5, .75): by row 3 * .25 + 6 * .75, by column .5 * 1 + .5 * 4; it lies at 3/4
    np.testing.assert_array_equal(gboxes, [[0, 5, 10.5, 15, 31.5]])
    _, saved = op.forward(SQUARE, boxes, 1, sampling_ratio=2, mode="max_corners")
    gx, gboxes = op.backward(saved, np.full((1, 1, 1, 1), 8.0))
    np.testing.assert_array_equal(gx, [[[[0, 0], [0, 3]]]])
    # .5 * .75 * 8: by row .75 * 8, by column .5 * 8
    np.testing.assert_array_equal(gboxes, [[0, 8, 12, 24, 36]])


@FACES
def test_nan(op):
    x = np.array([[[[1.0, np.nan, 2.0]]]])
    on_the_first, on_the_last = _roi(-1, -1, 1, 1), _roi(1, -1, 3, 1)
    assert np.isnan(op(x, on_the_first, 1, sampling_ratio=1).item())  # read with weight 0
    assert op(x, on_the_last, 1, sampling_ratio=1).item() == 2  # the last pixel has none after it
    x = np.array([[[[np.nan, 1.0], [1.0, 1.0]]]])
    assert op(x, _roi(5, 5, 6, 6), 1).item() == 0  # a sample outside reads nothing
    # one sample of two is NaN
    for mode in ("avg", "max", "max_corners"):
        y = op(x, _roi(-0.5, -0.5, 1.5, 0.5), 1, sampling_ratio=2, mode=mode)
        assert np.isnan(y.item())


@FACES
def test_an_image_without_pixels(op):
    y, saved = op.forward(np.zeros((1, 2, 0, 3)), _roi(0, 0, 1, 1), 2)
    np.testing.assert_array_equal(y, np.zeros((1, 2, 2, 2)))
    gx, gboxes = op.backward(saved, y)
    assert gx.shape == (1, 2, 0, 3)
    assert not gboxes.any()


def test_a_box_of_millions_of_pixels():
    # all samples but a few fall outside; in each of the bins so many that hit the pixels
    boxes = _roi(-8e6, -8e6, 8e6, 8e6)
    y, saved = ns.roi_align.forward(SQUARE, boxes, 2, aligned=True)
    assert y.shape == (1, 1, 2, 2)
    assert abs(y).max() < 1e-12
    assert np.isfinite(ns.roi_align.backward(saved, y)[1]).all()


@FACES
def test_arithmetic_is_that_of_the_dtype(op):
    # 0.1 * 30 is 3 in float32 and a little more in float64 (0.1 as float32 is 0.100000001490116):
    # ceil(3.00000004) is 4 samples instead of 3
    # (the rows are all alike)
    boxes = _roi(0, 0, 0.1, 1 / 30).astype(np.float32)
    x = np.tile((np.arange(8.0) ** 2), (2, 1))[None, None].astype(np.float32)
    single, double = (
        op(x, boxes, 1, spatial_scale=30.0, arithmetic=a).item() for a in ("float32", "float64")
    )
    # places .5 1.5 2.5: .5 2.5 6.5; places near .375 1.125 1.875 2.625: .375 1.375 3.625 7.125
    np.testing.assert_allclose([single, double], [9.5 / 3, 12.5 / 4], rtol=1e-6)
    assert op(x, boxes, 1, spatial_scale=30.0).item() == single
    wide = op(x.astype(float), boxes.astype(float), 1, spatial_scale=30.0).item()
    np.testing.assert_allclose(wide, double, rtol=1e-6)


def test_the_matrix():
    # One sample at row 1/2, column 1/4, as above; image 1 of 2
    boxes = _roi(-0.75, -0.5, 1.25, 1.5, n=1)
    m = ns.roi_align.matrix((2, 1, 2, 2), boxes, 1, sampling_ratio=1)
    np.testing.assert_array_equal(m.toarray(), [[0, 0, 0, 0, 0.375, 0.125, 0.375, 0.125]])
    with pytest.raises(ns.ArgumentError, match=r"^roi_align: a maximum is not linear"):
        ns.roi_align.matrix((2, 1, 2, 2), boxes, 1, mode="max")
    with pytest.raises(ns.ArgumentError, match=r"^roi_align: boxes\[0, 0\] is 1.0"):
        ns.roi_align.matrix((1, 1, 2, 2), boxes, 1)


@FACES
def test_tangents_by_hand(op):
    # The sample at row 1/2, column 1/4 of SQUARE: its slopes are 3.75 by row and 2.5 by column
    call = (SQUARE, _roi(-0.75, -0.5, 1.25, 1.5), 1)
    dx, dboxes = np.array([[[[8.0, 0], [0, 80]]]]), _roi(2, 0, 4, 10, n=7)
    for tangents, wanted in (
        ({"x": dx}, 8 * 0.375 + 80 * 0.125),
        ({"boxes": dboxes}, 3 * 2.5 + 5 * 3.75),  # the sample moves by 3 columns and 5 rows
        ({"x": dx, "boxes": dboxes}, 13 + 26.25),
    ):
        assert op.jvp(*call, tangents=tangents, sampling_ratio=1)[1].item() == wanted


@FACES
def test_tangents_follow_the_winner(op):
    x, dx = np.array([[[[3.0, 3.0]]]]), np.array([[[[1.0, 10.0]]]])
    boxes = _roi(-0.5, -0.5, 1.5, 0.5)  # samples on both pixels: equal, the first wins
    for mode in ("max", "max_corners"):
        how = {"sampling_ratio": 2, "mode": mode}
        assert op.jvp(x, boxes, 1, tangents={"x": dx}, **how)[1].item() == 1
    # The winner of SQUARE lies at row .5 and column .75, at 3/4 of the box both ways; the product
    # that wins is .5 * .75 * 8, which changes by 6 with the row and by 4 with the column.
    call, dboxes = (SQUARE, _roi(0, -0.25, 1, 0.75), 1), _roi(4, 8, 0, 0)
    for mode, slopes in (("max", (5.25, 2.5)), ("max_corners", (6, 4))):
        dy = op.jvp(*call, tangents={"boxes": dboxes}, sampling_ratio=2, mode=mode)[1].item()
        assert dy == slopes[0] * 8 / 4 + slopes[1] * 4 / 4


@FACES
def test_second_derivatives_by_hand(op):
    # The same sample at (1/2, 1/4); f = (1 - a)(1 - b) 1 + (1 - a) b 2 + a (1 - b) 4 + a b 8 has
    # the mixed derivative 1 - 2 - 4 + 8 = 3, and each end of the box moves the sample by half.
    _, saved = op.forward(SQUARE, _roi(-0.75, -0.5, 1.25, 1.5), 1, sampling_ratio=1)
    gy = np.full((1, 1, 1, 1), 8.0)
    gx, gboxes, ggy = op.double_backward(saved, gy, {"boxes": _roi(1, 0, 0, 0)})
    # of the gradient by x1, 8 * .5 * df/db
    np.testing.assert_array_equal(gx, [[[[-2, 2], [-2, 2]]]])
    np.testing.assert_array_equal(gboxes, [[0, 0, 8 * 0.25 * 3, 0, 8 * 0.25 * 3]])
    assert ggy.item() == 0.5 * 2.5
    # of the gradient of the last pixel, 8 a b
    dx = np.array([[[[0.0, 0], [0, 1]]]])
    gx, gboxes, ggy = op.double_backward(saved, gy, {"x": dx})
    assert not gx.any()
    np.testing.assert_array_equal(gboxes, [[0, 2, 1, 2, 1]])
    assert ggy.item() == 0.125
    # in "max_corners" only that pixel counts: 8 a b at (1/2, 3/4), mixed derivative 8
    _, saved = op.forward(SQUARE, _roi(0, -0.25, 1, 0.75), 1, 1.0, 2, mode="max_corners")
    gx, gboxes, _ = op.double_backward(saved, gy / 8, {"boxes": _roi(0, 4, 0, 0)})
    np.testing.assert_array_equal(gx, [[[[0, 0], [0, 0.75]]]])
    np.testing.assert_array_equal(gboxes, [[0, 2, 0, 6, 0]])


def test_the_linear_operator_is_the_matrix():
    boxes = np.concatenate([_roi(-0.75, -0.5, 1.25, 1.5, n=1), _roi(0.5, 0.25, 2.75, 1)])
    m = ns.roi_align.matrix((2, 1, 3, 2), boxes, 2, spatial_scale=0.5).toarray()
    a = ns.roi_align.linear_operator((2, 1, 3, 2), boxes, 2, spatial_scale=0.5)
    np.testing.assert_allclose(a @ np.eye(12), m, rtol=1e-15)
    np.testing.assert_allclose(a.H @ np.eye(8), m.T, rtol=1e-15)


def test_the_number_of_threads_changes_no_bit():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 40, 20, 20)).astype(np.float32)
    boxes = np.concatenate([rng.integers(0, 2, (30, 1)), rng.uniform(-3, 24, (30, 4))], 1)
    gy = rng.normal(size=(30, 40, 3, 3)).astype(np.float32)
    for mode in ("avg", "max"):
        results = []
        for threads in (1, 2, 3):
            with ns.num_threads(threads):
                y, saved = ns.roi_align.forward(x, boxes.astype(np.float32), 3, mode=mode)
                results.append((y, *ns.roi_align.backward(saved, gy)))
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_boxes_written_to_after_forward_are_refused():
    boxes = _roi(0, 0, 2, 2)
    _, saved = ns.roi_align.forward(RAMP, boxes, 1)
    boxes[0, 0] = 7
    with pytest.raises(ns.ArgumentError, match=r"^roi_align.backward: boxes\[0, 0\] is 7.0"):
        ns.roi_align.backward(saved, np.ones((1, 1, 1, 1)))
