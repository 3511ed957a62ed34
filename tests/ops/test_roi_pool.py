"""roi_pool against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns
from numseg.ops.roi_pool import cpu

FACES = pytest.mark.parametrize("op", [ns.roi_pool, ns.roi_pool.reference], ids=["cpu", "ref"])
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])

X = np.arange(16.0).reshape(1, 1, 4, 4)
LOWEST = float(np.finfo(np.float32).min)


def _roi(*box, n=0):
    return np.array([[n, *box]], float)


@FACES
@DTYPES
def test_bins_of_different_sizes_share_pixels(op, dtype):
    # rows and columns 0 to 2, in two bins: floor(0) to ceil(1.5), floor(1.5) to 3
    y, indices = op(X.astype(dtype), _roi(0, 0, 2, 2).astype(dtype), 2, return_indices=True)
    assert y.dtype == dtype
    assert y.tolist() == [[[[5, 6], [9, 10]]]]
    assert indices.dtype == np.int64
    assert indices.tolist() == [[[[5, 6], [9, 10]]]]


@FACES
@pytest.mark.parametrize(
    ("coordinate", "row"),
    [(0.5, 1), (1.5, 2), (2.5, 3), (1.49, 1), (0.49999999999999994, 0), (-0.5, -1), (-0.4, 0)],
)
def test_halves_go_away_from_zero(op, coordinate, row):
    y = op(X, _roi(0, coordinate, 0, coordinate), 1)
    assert y.item() == (0 if row < 0 else 4 * row)


@FACES
@pytest.mark.parametrize(
    ("coordinate", "row"), [(0.5, 0), (1.5, 2), (2.5, 2), (2.51, 3), (-0.5, 0), (-1.5, -2)]
)
def test_halves_go_to_the_even_pixel(op, coordinate, row):
    y = op(X, _roi(0, coordinate, 0, coordinate), 1, rounding="half_even")
    assert y.item() == (0 if row < 0 else 4 * row)


@FACES
def test_no_rounding(op):
    # rows from .6 to (2.2 + 1) * 1: size 2.6, bins of 1.3: floor(.6) to ceil(1.9), floor(1.9) to
    # ceil(3.2); column 1.2 up to 2.2: 1 and 2
    y = op(X, _roi(1.2, 0.6, 1.2, 2.2), (2, 1), rounding="none")
    assert y.tolist() == [[[[6], [14]]]]
    # the one is added before the scale: rows .25 up to 1.25
    y = op(X, _roi(0, 0.5, 0, 1.5), 1, spatial_scale=0.5, rounding="none")
    assert y.item() == 4
    # a box of no or a negative size has no pixels; rounded, it would have one
    for box in ((0, 2, 0, 1), (0, 1.5, 0, 0.5), (0, 3, 0, 0), (3, 0, 1, 0)):
        y, indices = op(X + 1, _roi(*box), 1, rounding="none", return_indices=True)
        assert (y.item(), indices.item()) == (0, -1)


@FACES
def test_scale_and_rectangular_output(op):
    # the box in pixels: columns round(.5) = 1 to 3, rows round(1.25) = 1 to round(2.25) = 2
    y = op(X, _roi(2, 5, 12, 9), (2, 1), spatial_scale=0.25)
    assert y.tolist() == [[[[7], [11]]]]


@FACES
def test_boxes_across_the_border(op):
    # rows -2 to 1, columns 2 to 5: bins of two rows and two columns, half of them without pixels
    y, indices = op(-1 - X, _roi(2, -2, 5, 1), 2, return_indices=True)
    assert y.tolist() == [[[[0, 0], [-3, 0]]]]
    assert indices.tolist() == [[[[-1, -1], [2, -1]]]]


@FACES
def test_inverted_boxes_are_one_pixel(op):
    assert op(X, _roi(2, 2, 1, -5), 1).item() == 10
    assert op(X, _roi(2, 2, 1, -5), 2).tolist() == [[[[10, 10], [10, 10]]]]


@FACES
@DTYPES
def test_ties_nan_and_infinities(op, dtype):
    inf, nan = np.inf, np.nan
    x = np.array([[3, 3, nan, 2], [nan, nan, -inf, -inf], [nan, -1, inf, nan]], dtype)
    boxes = np.array([[0, 0, r, 3, r] for r in range(3)], dtype)
    y, indices = op(x[None, None], boxes, 1, return_indices=True)
    np.testing.assert_array_equal(y.ravel(), [3, LOWEST, inf])
    assert indices.ravel().tolist() == [0, -1, 10]


@FACES
def test_nothing_below_the_lowest_float32_wins(op):
    y, indices = op(np.full((1, 1, 1, 2), -1e300), _roi(0, 0, 1, 0), 1, return_indices=True)
    assert y.item() == LOWEST
    assert indices.item() == -1


@FACES
def test_gradient(op):
    # three RoIs: two of image 1 that share a winner, one whose second bin is empty
    x = np.stack([X[0], X[0] + 100])
    boxes = np.array([[1, 0, 0, 3, 3], [0, 3, 0, 6, 0], [1, 2, 2, 3, 3]], float)
    y, saved = op.forward(x, boxes, (1, 2))
    assert y.tolist() == [[[[113, 115]]], [[[3, 0]]], [[[114, 115]]]]
    (gx,) = op.backward(saved, np.array([1.0, 2, 4, 8, 16, 32]).reshape(3, 1, 1, 2))
    expected = np.zeros((2, 1, 4, 4))
    expected[1, 0, 3] = [0, 1, 16, 34]
    expected[0, 0, 0, 3] = 4
    np.testing.assert_array_equal(gx, expected)


@FACES
def test_tangents_are_read_by_the_indices(op):
    # two RoIs, the second with an empty bin; at a tie the first pixel moves the result
    x, boxes = np.zeros((2, 1, 2, 2)), np.array([[1, 0, 0, 1, 1], [0, 1, 0, 3, 0]], float)
    dx = np.arange(1.0, 9).reshape(2, 1, 2, 2)
    _, dy = op.jvp(x, boxes, (1, 2), tangents={"x": dx})
    assert dy.tolist() == [[[[5, 6]]], [[[2, 0]]]]


def test_the_matrix_for_given_indices():
    boxes = np.array([[1, 0, 0, 1, 1], [0, 1, 0, 3, 0]], float)
    indices = np.array([[[[0, 3]]], [[[1, -1]]]])
    m = ns.roi_pool.matrix((2, 1, 2, 2), boxes, (1, 2), indices=indices)
    expected = np.zeros((4, 8))
    expected[[0, 1, 2], [4, 7, 1]] = 1
    np.testing.assert_array_equal(m.toarray(), expected)
    a = ns.roi_pool.linear_operator((2, 1, 2, 2), boxes, (1, 2), indices=indices)
    np.testing.assert_array_equal(a @ np.eye(8), expected)
    np.testing.assert_array_equal(a.H @ np.eye(4), expected.T)
    m = ns.roi_pool.matrix((2, 3, 2, 2), boxes[:1], 1, indices=np.array([[[[2]], [[0]], [[3]]]]))
    expected = np.zeros((3, 24))
    expected[[0, 1, 2], [14, 16, 23]] = 1  # channels 3, 4 and 5 of all six
    np.testing.assert_array_equal(m.toarray(), expected)
    with pytest.raises(ns.ArgumentError, match=r"^roi_pool: linear only for given indices"):
        ns.roi_pool.matrix((2, 1, 2, 2), boxes, (1, 2))


@FACES
@pytest.mark.parametrize(
    ("size", "bins", "arithmetic", "pixels"),
    [(57, 7, "float32", 58), (57, 7, "float64", 57), (29, 7, "float64", 30), (29, 7, "exact", 29),
     (57, 7, "exact", 57)],
)  # fmt: skip
def test_floating_point_edges_may_leave_the_box(op, size, bins, arithmetic, pixels):
    # the last bin ends at ceil(bins * (size / bins)); the image rises, so its last pixel wins
    x = np.arange(64.0).reshape(1, 1, 64, 1)
    y = op(x, _roi(0, 0, 0, size - 1), (bins, 1), arithmetic=arithmetic)
    assert y[0, 0, -1, 0] == pixels - 1


@FACES
def test_arithmetic_is_that_of_the_dtype(op):
    x, boxes = np.arange(64.0).reshape(1, 1, 64, 1), _roi(0, 0, 0, 56)
    assert op(x, boxes, (7, 1))[0, 0, -1, 0] == 56
    assert op(x.astype(np.float32), boxes.astype(np.float32), (7, 1))[0, 0, -1, 0] == 57
    # 0.7 * 5 is 3.5 in float64, 3.4999998 from float32's 0.7; in float32 it rounds to 3.5
    boxes = _roi(0, 0.7, 0, 0.7).astype(np.float32)
    rows = [
        op(x.astype(np.float32), boxes, 1, spatial_scale=5.0, arithmetic=a).item()
        for a in ("float32", "float64", "exact")
    ]
    assert rows == [4, 3, 3]


@DTYPES
def test_channels_side_by_side(dtype, monkeypatch):
    # whole blocks of channels and parts, numbers of bins around those of a vector, ties, NaN,
    # infinities; boxes of several pixels a bin, inside the image and across it
    rng = np.random.default_rng(0)
    values = np.array([-np.inf, -np.inf, -1, 0, 1, np.nan, np.nan])
    boxes = np.array(
        [[1, 0, 0, 8, 10], [0, -3, 4, 5, 30], [1, 7, 2, 40, 9], [0, 20, 0, 30, 5]], dtype
    )
    for narrow in (cpu.NARROW, -1):  # -1: places as on planes of 2**31 pixels and more
        monkeypatch.setattr(cpu, "NARROW", narrow)
        for channels in (1, 16, 19):
            x = rng.choice(values, (2, channels, 11, 9)).astype(dtype)
            for bins in ((1, 1), (3, 5), (4, 4), (7, 7)):
                found = ns.roi_pool(x, boxes, bins, return_indices=True)
                expected = ns.roi_pool.reference(x, boxes, bins, return_indices=True)
                np.testing.assert_array_equal(found[0], expected[0])
                np.testing.assert_array_equal(found[1], expected[1])


def test_the_number_of_threads_changes_no_bit():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 40, 20, 20)).astype(np.float32)
    boxes = np.concatenate([rng.integers(0, 2, (30, 1)), rng.uniform(-3, 24, (30, 4))], 1)
    gy = rng.normal(size=(30, 40, 3, 3)).astype(np.float32)
    results = []
    for threads in (1, 2, 3):
        with ns.num_threads(threads):
            y, saved = ns.roi_pool.forward(x, boxes.astype(np.float32), 3)
            results.append((y, saved.indices, *ns.roi_pool.backward(saved, gy)))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_boxes_written_to_after_forward_are_refused():
    boxes = _roi(0, 0, 2, 2)
    _, saved = ns.roi_pool.forward(X, boxes, 1)
    boxes[0, 0] = 7
    with pytest.raises(ns.ArgumentError, match=r"^roi_pool.backward: boxes\[0, 0\] is 7.0"):
        ns.roi_pool.backward(saved, np.ones((1, 1, 1, 1)))


def test_indices_written_to_after_forward_leave_the_image_alone():
    _, saved = ns.roi_pool.forward(np.concatenate([X, X], 1), _roi(0, 0, 3, 3), 1)
    for wrong in (-2, 16, 1 << 40):  # 16 would be the next plane's
        changed = saved._replace(indices=np.full((1, 2, 1, 1), wrong))
        assert not ns.roi_pool.backward(changed, np.ones((1, 2, 1, 1)))[0].any()


def test_a_plain_call_makes_no_indices(monkeypatch):
    """They are for backward, or for who asks for them."""
    made, forward = [], cpu.forward

    def spy(x, boxes, y, indices, g):
        forward(x, boxes, y, indices, g)
        made.append(indices.size)

    monkeypatch.setattr(cpu, "forward", spy)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 9, 8), np.float32)
    boxes = np.array([[0, 1, 1, 6, 7], [1, 0, 2, 3, 8]], np.float32)
    y = ns.roi_pool(x, boxes, 3)
    want, saved = ns.roi_pool.forward(x, boxes, 3)
    _, indices = ns.roi_pool(x, boxes, 3, return_indices=True)
    assert made == [0, y.size, y.size]
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(saved.indices, indices)
