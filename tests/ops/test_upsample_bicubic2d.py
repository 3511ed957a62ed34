"""upsample_bicubic2d, and antialiasing of both resizings: values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.upsample_bicubic2d, ns.upsample_bicubic2d.reference])
both_linear = pytest.mark.parametrize(
    "op", [ns.upsample_bilinear2d, ns.upsample_bilinear2d.reference]
)


def line(op, row, o, **params):
    """Along columns, checked to be the same along rows."""
    x = np.array(row, float).reshape(1, 1, 1, -1)
    y = op(x, (1, o), **params)[0, 0, 0].tolist()
    np.testing.assert_array_equal(op(x.swapaxes(2, 3), (o, 1), **params)[0, 0, :, 0], y)
    return y


@both
def test_the_cubic(op):
    """One pixel of 4 is 256. At s = 1.5, f(1/2) and f(3/2); a = -3/4:
    f(1/2) = 1.25/8 - 2.25/4 + 1 = .59375, f(3/2) = -.75 (1/2) (1/4) = -.09375."""
    found = [line(op, np.eye(4)[i] * 256, 1)[0] for i in range(4)]
    assert found == [-24, 152, 152, -24]
    # a = -1/2: f(1/2) = 1.5/8 - 2.5/4 + 1 = .5625, f(3/2) = -.0625
    found = [line(op, np.eye(4)[i] * 256, 1, cubic_coeff_a=-0.5)[0] for i in range(4)]
    assert found == [-16, 144, 144, -16]


@both
def test_the_border_stands_for_what_is_outside(op):
    """s = -1/4: f(1.75) = -.75 (.75) (.0625), f(.75) = .26171875 and f(.25) = .87890625 are pixel
    0's, f(1.25) = -.75 (.25) (.5625) = -.10546875 pixel 1's."""
    assert line(op, [0, 64], 4) == [-6.75, 14.5, 49.5, 70.75]
    np.testing.assert_allclose(line(op, [64], 3), 64, rtol=1e-15)


@both
def test_outside_excluded(op):
    """The same weights, but pixel 0 has only f(.25): .87890625 - .10546875 = .7734375."""
    first = 64 * -0.10546875 / 0.7734375
    second = 64 * 0.26171875 / (0.87890625 + 0.26171875)
    found = line(op, [0, 64], 4, exclude_outside=True)
    np.testing.assert_allclose(found, [first, second, 64 - second, 64 - first], rtol=1e-15)


@both
def test_aligned_corners(op):
    """At 0, 1/2, 1, 3/2, 2; a pixel where one lies is itself."""
    found = line(op, [0, 32, 0], 5, align_corners=True)
    # s = 1/2: pixels -1 and 2 have -.09375, 0 and 1 have .59375
    assert found == [0, 19, 32, 19, 0]
    assert line(op, [0, 32, 96], 5, align_corners=True)[1] == 32 * 0.59375 - 96 * 0.09375


@both
def test_a_pixel_two_away_is_not_read(op):
    x = [np.nan, 1, 2, 3, np.nan]
    found = line(op, x, 5)  # s = p reads p - 1, p, p + 1, of which the outer two weigh 0
    np.testing.assert_array_equal(found, [np.nan, np.nan, 2, np.nan, np.nan])


@both
def test_antialiased(op):
    """4 pixels to 2: t = 2, s = 1/2, f((i - s) / 2) of -1/4, 1/4, 3/4, 5/4; a = -1/2:
    f(1/4) = 1.5/64 - 2.5/16 + 1 = .8671875, f(3/4) = 1.5 (.421875) - 2.5 (.5625) + 1 = .2265625,
    f(5/4) = -.5 (1/4) (9/16) = -.0703125; what lies outside does not count."""
    weights = np.array([0.8671875, 0.8671875, 0.2265625, -0.0703125])
    weights /= weights.sum()
    found = [line(op, np.eye(4)[i], 2, antialias=True) for i in range(4)]
    np.testing.assert_allclose(found, np.stack([weights, weights[::-1]], 1), rtol=1e-14)
    # ONNX's: pixel 0 stands for those at -1, -2 and -3, and a is -3/4
    a = -0.75
    f = [1.25 / 64 - 2.25 / 16 + 1, 1.25 * 0.421875 - 2.25 * 0.5625 + 1]
    f += [a / 4 * 9 / 16, a * 3 / 4 / 16]
    weights = np.array([f[0] + f[1] + f[2] + f[3], f[0], f[1], f[2] + f[3]]) / 2
    how = {"antialias": True, "cubic_coeff_a": -0.75, "exclude_outside": False}
    found = [line(op, np.eye(4)[i], 2, **how)[0] for i in range(4)]
    np.testing.assert_allclose(found, weights, rtol=1e-14)


@both_linear
def test_antialiased_bilinear(op):
    """6 pixels to 2: t = 3, s = 1: 1 - |i - 1| / 3 is 2/3, 1, 2/3, 1/3, of a sum of 8/3."""
    found = [line(op, np.eye(6)[i] * 8, 2, antialias=True) for i in range(6)]
    expected = [[2, 0], [3, 0], [2, 1], [1, 2], [0, 3], [0, 2]]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    # pixel 0 stands for -1, which weighs 1/3
    how = {"antialias": True, "exclude_outside": False}
    found = [line(op, np.eye(6)[i] * 9, 2, **how)[0] for i in range(6)]
    np.testing.assert_allclose(found, [3, 3, 2, 1, 0, 0], rtol=1e-14)
    # an image that grows has t = 1
    grown = line(op, [0, 4, 8], 6, antialias=True)
    np.testing.assert_allclose(grown, [0, 1, 3, 5, 7, 8], rtol=1e-14)


@both_linear
def test_antialiased_by_a_factor(op):
    """5 pixels by 0.4 are 2, t = 2.5, s = .75 and 3.25; by the size they would be the same, by
    0.5 t = 2 and s = 1/2 and 5/2."""

    def by(s, t):
        f = np.maximum(1 - np.abs(np.arange(5) - s) / t, 0)
        return f / f.sum()

    x = np.eye(5).reshape(5, 1, 1, 5)
    found = op(x, scale_factor=(1, 0.4), antialias=True)[:, 0, 0, 0]
    np.testing.assert_allclose(found, by(0.75, 2.5), rtol=1e-14)
    found = op(x, scale_factor=(1, 0.5), antialias=True)[:, 0, 0]
    np.testing.assert_allclose(found[:, 0], by(0.5, 2), rtol=1e-14)
    np.testing.assert_allclose(found[:, 1], by(2.5, 2), rtol=1e-14)


@both
@pytest.mark.parametrize("antialias", [False, True])
def test_constants_stay_constant(op, antialias):
    x = np.full((2, 1, 9, 40), 3.0)
    for size in (4, 17), (30, 90), (1, 1):
        np.testing.assert_allclose(op(x, size, antialias=antialias), 3, rtol=1e-14)


@both
def test_the_gradient_is_the_transpose(op):
    rng = np.random.default_rng(0)
    for size in (4, 9), (11, 40):
        x, grad = rng.normal(size=(1, 2, 7, 19)), rng.normal(size=(1, 2, *size))
        y, saved = op.forward(x, size)
        assert math.isclose((y * grad).sum(), (op.backward(saved, grad)[0] * x).sum(), rel_tol=1e-9)


@both
def test_the_gradient_by_hand(op):
    _, saved = op.forward(np.zeros((1, 1, 1, 2)), (1, 4))
    gx = op.backward(saved, np.array([[[[64.0, 0, 0, 0]]]]))[0]
    assert gx[0, 0].tolist() == [[70.75, -6.75]]


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("i", "o"), [(2, 4), (3, 7), (5, 4), (9, 2), (8, 3), (1, 3), (4, 4)])
def test_reach_is_what_is_read(i, o, antialias):
    rows, _ = ns.upsample_bicubic2d.plan((1, 1, i, 1), (o, 1), antialias=antialias).reach
    nan = np.where(np.eye(i), np.nan, 1.0).reshape(i, 1, i, 1)
    read = np.isnan(ns.upsample_bicubic2d(nan, (o, 1), antialias=antialias)[:, 0, :, 0])
    for p in range(o):
        first = max(math.ceil(rows.stride * p + rows.first), 0)
        last = min(math.floor(rows.stride * p + rows.last), i - 1)
        assert np.flatnonzero(read[:, p]).tolist() == [*range(first, last + 1)]
