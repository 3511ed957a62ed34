"""upsample_nearest2d: values by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.upsample_nearest2d, ns.upsample_nearest2d.reference])


def sources(op, i, *args, **kwargs):
    """Which column each output column copies; checked to be the same for rows."""
    row = np.arange(float(i)).reshape(1, 1, 1, i)
    columns = op(row, *args, **kwargs)[0, 0, 0].tolist()
    swapped = [tuple(reversed(a)) for a in args]
    factor = kwargs.get("scale_factor")
    kwargs = {"scale_factor": tuple(reversed(factor))} if factor else {}
    rows = op(row.reshape(1, 1, i, 1), *swapped, **kwargs)[0, 0, :, 0].tolist()
    assert rows == columns
    return columns


@both
@pytest.mark.parametrize(
    ("i", "o", "expected"),
    [
        (3, 7, [0, 0, 0, 1, 1, 2, 2]),  # 0, 3, 6, 9, 12, 15, 18 / 7
        (2, 5, [0, 0, 0, 1, 1]),  # 0, 2, 4, 6, 8 / 5
        (4, 4, [0, 1, 2, 3]),
        (2, 4, [0, 0, 1, 1]),
        (5, 3, [0, 1, 3]),  # 0, 5, 10 / 3
        (7, 1, [0]),
        (1, 3, [0, 0, 0]),
    ],
)
def test_by_size(op, i, o, expected):
    assert sources(op, i, (1, o)) == expected


@both
@pytest.mark.parametrize(
    ("i", "factor", "expected"),
    [
        (2, 1.5, [0, 0, 1]),  # floor(0, 2/3, 4/3)
        (4, 1.3, [0, 0, 1, 2, 3]),  # 5 pixels; 0, .77, 1.54, 2.31, 3.08; by size 0 0 1 2 3 too
        (3, 2.5, [0, 0, 0, 1, 1, 2, 2]),  # 7 pixels; 0 .4 .8 1.2 1.6 2.0 2.4
        (5, 2.9, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4]),  # 9 / 2.9 = 3.1; by size 9*5/14 = 3.2
        (3, 3.3, [0, 0, 0, 0, 1, 1, 1, 2, 2]),  # 3 / 3.3 < 1, where by size 3 * 3 / 9 = 1
        (4, 0.6, [0, 1]),  # 1 / .6 = 1.67; by size 1 * 4 / 2 = 2
        (2, 1.1, [0, 1]),  # as large as x: by size; 1 / 1.1 would be 0
        (2, 2.4, [0, 0, 1, 1]),  # twice as large: by size; 2 / 2.4 would be 0
    ],
)
def test_by_factor(op, i, factor, expected):
    assert sources(op, i, scale_factor=(1.0, factor)) == expected


def test_a_pixel_boundary_is_exact():
    """In float32, 41 * (2 / 82) is just below 1, and so is 41 / 5.125 below 8."""
    assert ns.upsample_nearest2d(np.array([[[[0.0, 1.0]]]]), (1, 82))[0, 0, 0, 40:42].tolist() == [
        0,
        1,
    ]
    x = np.arange(16.0).reshape(1, 1, 1, 16)
    assert ns.upsample_nearest2d(x, scale_factor=(1, 5.125))[0, 0, 0, 41] == 8
    # in float64 too: 49 * (1 / 49) is just below 1, but 49 / 49 is not
    assert ns.upsample_nearest2d(x, scale_factor=(1, 49))[0, 0, 0, 48:50].tolist() == [0, 1]


@both
def test_rows_and_columns_have_their_own_factor(op):
    x = np.array([[[[1, 2], [3, 4]]]], np.float32)
    y = op(x, scale_factor=(1, 2))
    assert y.dtype == np.float32
    assert y[0, 0].tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]
    assert op(x, (4, 1))[0, 0].tolist() == [[1], [1], [3], [3]]


@both
def test_the_gradient_is_the_sum_over_the_copies(op):
    _, saved = op.forward(np.zeros((1, 1, 2, 3)), (3, 7))  # rows 0 0 1, columns 0 0 0 1 1 2 2
    grad = np.arange(21.0).reshape(1, 1, 3, 7)
    assert op.backward(saved, grad)[0][0, 0].tolist() == [
        [0 + 1 + 2 + 7 + 8 + 9, 3 + 4 + 10 + 11, 5 + 6 + 12 + 13],
        [14 + 15 + 16, 17 + 18, 19 + 20],
    ]


@both
def test_pixels_without_a_copy_have_no_gradient(op):
    _, saved = op.forward(np.zeros((1, 1, 1, 5)), (1, 3))  # columns 0 1 3
    gx = op.backward(saved, np.array([[[[1.0, 2.0, 3.0]]]]))[0]
    assert gx[0, 0].tolist() == [[1, 2, 0, 3, 0]]


@both
def test_nan_stays_in_its_cell(op):
    y = op(np.array([[[[np.nan, 1.0]]]]), (2, 4))
    np.testing.assert_array_equal(y[0, 0], [[np.nan, np.nan, 1, 1]] * 2)


def test_the_matrix_has_one_one_in_each_row():
    m = ns.upsample_nearest2d.matrix((1, 1, 1, 3), (1, 7))
    assert m.indices.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert m.shape == (7, 3)


def test_output_shape():
    shape = ns.upsample_nearest2d.output_shape
    assert shape((2, 3, 10, 0), scale_factor=(0.7, 2)) == (2, 3, 7, 0)
    assert shape((1, 1, 100, 1), scale_factor=(0.29, 1)) == (1, 1, 28, 1)  # .29 * 100 < 29


@pytest.mark.parametrize(("i", "o", "factor"), [(3, 7, 0), (5, 3, 0), (4, 4, 0), (8, 10, 1.25)])
def test_reach_is_what_is_read(i, o, factor):
    plan = ns.upsample_nearest2d.plan(
        (1, 1, i, 1), **({"scale_factor": (factor, 1)} if factor else {"size": (o, 1)})
    )
    rows, _ = plan.reach
    for p in range(o):
        read = math.floor(Fraction(p) * i / o) if not factor else math.floor(p / Fraction(factor))
        assert math.ceil(rows.stride * p + rows.first) == read
        assert math.floor(rows.stride * p + rows.last) == read


@both
@pytest.mark.parametrize(
    ("coordinates", "rounding", "columns", "expected"),
    [
        ("nearest", "floor", 7, [1, 1, 1, 2, 2, 3, 3]),
        ("nearest-exact", "floor", 7, [1, 1, 2, 2, 2, 3, 3]),
        # positions -1/4, 1/4, 3/4, ...: what is outside is the pixel at the border
        ("half_pixel", "floor", 6, [1, 1, 1, 2, 2, 3]),
        ("half_pixel", "ceil", 6, [1, 2, 2, 3, 3, 3]),
        ("half_pixel", "round_prefer_floor", 6, [1, 1, 2, 2, 3, 3]),
        # positions 0, 1/2, 1, 3/2, 2: halves go to the pixel named
        ("align_corners", "round_prefer_floor", 5, [1, 1, 2, 2, 3]),
        ("align_corners", "round_prefer_ceil", 5, [1, 2, 2, 3, 3]),
        ("asymmetric", "floor", 6, [1, 1, 2, 2, 3, 3]),
        ("asymmetric", "ceil", 6, [1, 2, 2, 3, 3, 3]),
        ("asymmetric", "round_prefer_ceil", 6, [1, 2, 2, 3, 3, 3]),
        ("half_pixel", "floor", 1, [2]),
        ("pytorch_half_pixel", "floor", 1, [1]),
        ("align_corners", "ceil", 1, [1]),
    ],
)
def test_coordinates_and_rounding(op, coordinates, rounding, columns, expected):
    x = np.array([[[[1.0, 2.0, 3.0]]]])
    params = {"coordinates": coordinates, "rounding": rounding}
    assert op(x, (1, columns), **params)[0, 0].tolist() == [expected]
    assert op(x.swapaxes(2, 3), (columns, 1), **params)[0, 0, :, 0].tolist() == expected


@both
def test_coordinates_by_a_factor(op):
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    half = {"scale_factor": (1, 0.5), "rounding": "round_prefer_floor"}  # 2 pixels of 2.5
    assert op(x, coordinates="half_pixel", **half).ravel().tolist() == [0, 2]  # at 1/2, 5/2
    assert op(x, coordinates="half_pixel_symmetric", **half).ravel().tolist() == [1, 3]
    assert op(x, coordinates="asymmetric", **half).ravel().tolist() == [0, 2]
    assert op(x, coordinates="asymmetric", recompute_scale_factor=True, **half).ravel().tolist() \
        == [0, 2]  # at 5/2  # fmt: skip
    # 10 pixels of 10.25: 8 / 2.05 is below 4, but "nearest" goes by size where that is doubled
    y = op(x, scale_factor=(1, 2.05), coordinates="asymmetric")
    assert y.ravel().tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 4]
    assert op(x, scale_factor=(1, 2.05)).ravel().tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_reach_takes_in_what_a_border_pixel_stands_for():
    def rows(o, **params):
        reach = ns.upsample_nearest2d.plan((1, 1, 3, 1), (o, 1), **params).reach[0]
        return float(reach.first), float(reach.last)

    assert rows(6) == (-0.5, 0)
    assert rows(6, coordinates="half_pixel", rounding="round_prefer_ceil") == (-0.5, 0.25)
    assert rows(6, coordinates="half_pixel", rounding="floor") == (-1, -0.25 + 1)
