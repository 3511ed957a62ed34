"""upsample_bilinear2d: values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns
from numseg.ops.upsample_bilinear2d import cpu

both = pytest.mark.parametrize("op", [ns.upsample_bilinear2d, ns.upsample_bilinear2d.reference])


def positions(op, i, *size, **params):
    """Where each output column lies, and each row, checked to be the same: x is a ramp."""
    row = np.arange(float(i)).reshape(1, 1, 1, i)
    columns = op(row, *size, **params)[0, 0, 0].tolist()
    size = [tuple(reversed(s)) for s in size]
    if "scale_factor" in params:
        params["scale_factor"] = tuple(reversed(params["scale_factor"]))
    assert op(row.reshape(1, 1, i, 1), *size, **params)[0, 0, :, 0].tolist() == columns
    return columns


@both
@pytest.mark.parametrize(
    ("i", "o", "expected"),
    [
        (2, 4, [0, 0.25, 0.75, 1]),  # -1/4, 1/4, 3/4, 5/4, clamped
        (4, 2, [0.5, 2.5]),  # nothing is averaged
        (3, 3, [0, 1, 2]),
        (8, 1, [3.5]),
        (1, 3, [0, 0, 0]),
        (4, 8, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
        (5, 4, [0.125, 1.375, 2.625, 3.875]),  # (p + 1/2) 5/4 - 1/2
    ],
)
def test_half_pixels(op, i, o, expected):
    assert positions(op, i, (1, o)) == expected


@both
@pytest.mark.parametrize(
    ("i", "o", "expected"),
    [
        (2, 5, [0, 0.25, 0.5, 0.75, 1]),
        (3, 5, [0, 0.5, 1, 1.5, 2]),
        (5, 3, [0, 2, 4]),
        (4, 1, [0]),
        (1, 2, [0, 0]),
        (4, 4, [0, 1, 2, 3]),
    ],
)
def test_aligned_corners(op, i, o, expected):
    assert positions(op, i, (1, o), align_corners=True) == expected


@both
@pytest.mark.parametrize(
    ("i", "factor", "expected"),
    [
        (2, 2.0, [0, 0.25, 0.75, 1]),
        (3, 1.6, [0, 0.4375, 1.0625, 1.6875]),  # 4 pixels, (p + 1/2) / 1.6 - 1/2; by size 3/4
        (5, 0.5, [0.5, 2.5]),  # 2 pixels; by size (p + 1/2) 5/2 - 1/2 = .75, 3.25
        (3, 1.3, [0, 1, 2]),  # as large as x: unchanged
    ],
)
def test_a_factor_is_not_the_ratio_of_the_sizes(op, i, factor, expected):
    # 1 / 1.6 is 5 / 8, but 1.6 is not a float64: the last bits may differ
    found = positions(op, i, scale_factor=(1.0, factor))
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=1e-15)


@both
def test_a_position_by_a_factor_is_float64(op):
    """By 1/3, the one pixel of three lies at 0.5 / (1/3) - 0.5, which rounds to 1: the pixel after
    it has a weight of 0, not of 8e-17, and infinity times that is NaN."""
    y, saved = op.forward(np.zeros((1, 1, 2, 3)), scale_factor=(1, 1 / 3))
    (gx,) = op.backward(saved, np.full_like(y, -np.inf))
    np.testing.assert_array_equal(gx[0, 0, 0], [0, -np.inf, np.nan])


@both
def test_a_factor_decides_only_the_size_where_corners_are_aligned(op):
    found = positions(op, 3, scale_factor=(1.0, 1.7), align_corners=True)  # 5 pixels
    assert found == [0, 0.5, 1, 1.5, 2]


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_four_pixels_are_weighted(op, dtype):
    x = np.array([[[[0, 16], [32, 64]]]], dtype)
    y = op(x, (4, 4))
    assert y.dtype == dtype
    # weights 1 0, 3/4 1/4, 1/4 3/4, 0 1 for rows and for columns
    assert y[0, 0].tolist() == [
        [0, 4, 12, 16],
        [8, 13, 23, 28],
        [24, 31, 45, 52],
        [32, 40, 56, 64],
    ]


@both
def test_the_gradient_is_weighted_likewise(op):
    _, saved = op.forward(np.zeros((1, 1, 1, 2)), (1, 4))
    grad = np.array([[[[1.0, 4, 8, 16]]]])
    # pixel 0: 1 + 3/4 of 4 + 1/4 of 8; pixel 1: 1/4 of 4 + 3/4 of 8 + 16
    assert op.backward(saved, grad)[0][0, 0].tolist() == [[6, 23]]
    assert op.backward(saved, grad * 2)[0][0, 0].tolist() == [[12, 46]]
    _, saved = op.forward(np.zeros((1, 1, 2, 2)), (4, 4))
    gx = op.backward(saved, np.ones((1, 1, 4, 4)))[0]
    assert gx[0, 0].tolist() == [[4, 4], [4, 4]]
    grad = np.zeros((1, 1, 4, 4))
    grad[0, 0, 1, 2] = 16  # rows 3/4 1/4, columns 1/4 3/4
    assert op.backward(saved, grad)[0][0, 0].tolist() == [[3, 9], [1, 3]]


@both
def test_pixels_that_are_skipped_have_no_gradient(op):
    _, saved = op.forward(np.zeros((1, 1, 1, 6)), (1, 2))  # 1 and 4: (p + 1/2) 3 - 1/2
    gx = op.backward(saved, np.array([[[[5.0, 7.0]]]]))[0]
    assert gx[0, 0].tolist() == [[0, 5, 0, 0, 7, 0]]


@both
def test_a_pixel_of_weight_zero_is_read(op):
    x = np.array([[[[1.0, 2.0, np.nan]]]])
    y = op(x, (1, 5), align_corners=True)[0, 0, 0]  # 0, 1/2, 1, 3/2, 2
    np.testing.assert_array_equal(y, [1, 1.5, np.nan, np.nan, np.nan])
    y = op(x, (1, 3))[0, 0, 0]
    np.testing.assert_array_equal(y, [1, np.nan, np.nan])


@both
def test_constants_stay_constant_and_ramps_stay_ramps(op):
    assert (op(np.full((1, 1, 5, 7), 3.0), (8, 3)) == 3).all()
    ramp = np.arange(6.0).reshape(1, 1, 1, 6)
    for o in (4, 9, 13):
        y = op(ramp, (1, o))[0, 0, 0]
        expected = np.clip((np.arange(o) + 0.5) * 6 / o - 0.5, 0, 5)
        np.testing.assert_allclose(y, expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_results_have_the_same_bits(monkeypatch, dtype):
    """They are written past the caches, whole lines of them."""
    for w in (1, 3, 5, 16, 37):
        x = np.random.default_rng(w).standard_normal((2, 2, 3, w)).astype(dtype)
        before = ns.upsample_bilinear2d(x, scale_factor=3)
        with monkeypatch.context() as patch:
            patch.setattr(cpu, "NONTEMPORAL_BYTES", 0)
            patch.setattr(cpu, "LONG", 0)
            np.testing.assert_array_equal(ns.upsample_bilinear2d(x, scale_factor=3), before)


def test_the_matrix():
    m = ns.upsample_bilinear2d.matrix((1, 1, 1, 2), (1, 4))
    assert m.toarray().tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]


def test_the_transposed_convolutions_that_interpolate():
    """FCN's filters: kernel 4 is half-pixel within the border, kernel 3 has its corners aligned."""
    x = np.random.default_rng(0).integers(-8, 9, (2, 1, 4, 5)).astype(float)
    four, three = np.array([1, 3, 3, 1]) / 4, np.array([1, 2, 1]) / 2
    y = ns.conv_transpose2d(x, np.outer(four, four)[None, None], stride=2, padding=1)
    half_pixel = ns.upsample_bilinear2d(x, scale_factor=2)
    np.testing.assert_array_equal(y[:, :, 1:-1, 1:-1], half_pixel[:, :, 1:-1, 1:-1])
    assert (y[:, :, 0] != half_pixel[:, :, 0]).any()
    y = ns.conv_transpose2d(x, np.outer(three, three)[None, None], stride=2, padding=1)
    np.testing.assert_array_equal(y, ns.upsample_bilinear2d(x, (7, 9), align_corners=True))


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize(("i", "o"), [(2, 4), (3, 7), (5, 4), (6, 2), (4, 1), (1, 3), (4, 4)])
def test_reach_is_what_has_a_weight(i, o, align):
    rows, _ = ns.upsample_bilinear2d.plan((1, 1, i, 1), (o, 1), align_corners=align).reach
    weights = ns.upsample_bilinear2d.matrix((1, 1, i, 1), (o, 1), align_corners=align).toarray()
    for p in range(o):
        read = np.flatnonzero(weights[p])
        first = math.ceil(rows.stride * p + rows.first)
        last = math.floor(rows.stride * p + rows.last)
        assert (max(first, 0), min(last, i - 1)) == (read[0], read[-1])


@pytest.mark.parametrize("op", [ns.upsample_bilinear2d, ns.upsample_bilinear2d.reference])
@pytest.mark.parametrize(
    ("coordinates", "columns", "expected"),
    [
        ("half_pixel", 4, [0, 1, 3, 4]),
        ("asymmetric", 4, [0, 2, 4, 4]),  # at 0, 1/2, 1, 3/2
        ("tf_half_pixel_for_nn", 4, [1, 3, 4, 4]),  # at 1/4, 3/4, ...
        ("align_corners", 3, [0, 2, 4]),
        ("half_pixel", 1, [2]),
        ("pytorch_half_pixel", 1, [0]),
        ("align_corners", 1, [0]),
    ],
)
def test_coordinates(op, coordinates, columns, expected):
    x = np.array([[[[0.0, 4.0]]]])
    assert op(x, (1, columns), coordinates=coordinates)[0, 0].tolist() == [expected]
    y = op(x.swapaxes(2, 3), (columns, 1), coordinates=coordinates)
    assert y[0, 0, :, 0].tolist() == expected


@pytest.mark.parametrize("op", [ns.upsample_bilinear2d, ns.upsample_bilinear2d.reference])
def test_a_factor_decides_positions_unless_it_is_computed_again(op):
    x = np.array([[[[0.0, 8.0, 16.0]]]])  # 4 columns, of 4.5
    y = op(x, scale_factor=(1, 1.5)).ravel()  # at -1/6, 1/2, 7/6, 11/6
    np.testing.assert_allclose(y, [0, 4, 28 / 3, 44 / 3], rtol=1e-14)
    y = op(x, scale_factor=(1, 1.5), recompute_scale_factor=True)  # at -1/8, 5/8, 11/8, 17/8
    assert y.ravel().tolist() == [0, 5, 11, 16]
    # centred: at -1/6 + 1/6, ...
    y = op(x, scale_factor=(1, 1.5), coordinates="half_pixel_symmetric").ravel()
    np.testing.assert_allclose(y, [0, 16 / 3, 32 / 3, 16], rtol=1e-14, atol=1e-14)
    # 3 columns, of 3.3: PyTorch leaves them alone, ONNX does not
    assert op(x, scale_factor=(1, 1.1)).ravel().tolist() == [0, 8, 16]
    y = op(x, scale_factor=(1, 1.1), coordinates="half_pixel").ravel()
    np.testing.assert_allclose(y[1], 8 * (1.5 / 1.1 - 0.5), rtol=1e-14)
