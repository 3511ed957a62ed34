"""grid_sample: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.grid_sample, ns.grid_sample.reference])
ROW = np.array([16.0, 32, 64, 128])


def grid_of(positions, size, align=False):
    """The coordinates of positions in pixels."""
    s = np.asarray(positions, float)
    return 2 * s / (size - 1) - 1 if align else (2 * s + 1) / size - 1


def sampled(op, row, positions, mode="bilinear", padding="zeros", align=False):
    """Of one row, checked to be the same along a column."""
    row = np.asarray(row, float)
    place = grid_of(positions, len(row), align)
    centre = np.zeros_like(place)
    grid = np.stack([place, centre], -1)[None, None]
    x = np.broadcast_to(row, (1, 2, 1, len(row)))
    y = op(x, grid, mode, padding, align)[0, 1, 0]
    turned = op(x.swapaxes(2, 3), grid[..., ::-1], mode, padding, align)[0, 0, 0]
    np.testing.assert_array_equal(y, turned)
    return y.tolist()


@both
@pytest.mark.parametrize("align", [False, True])
def test_bilinear(op, align):
    row = [16, 32, 64, 128, 256]  # with aligned corners, 4 steps
    places = [0, 0.5, 1.25, 4] if align else np.array([0, 0.5, 1.25, 3])
    row = row if align else row[:4]
    found = sampled(op, row, places, align=align)
    assert found == [16, 24, 40, row[-1]]


@both
def test_outside_are_zeros(op):
    assert sampled(op, ROW, [-0.5, -0.75, -1, -1.5, 3.25, 4, 9]) == [8, 4, 0, 0, 96, 0, 0]
    found = sampled(op, ROW, [-0.375, -0.625, 3.375, 3.625], "nearest")
    assert found == [16, 0, 128, 0]


@both
def test_the_border_goes_on(op):
    places = [-0.5, -7, 3.25, 1e9]
    assert sampled(op, ROW, places, padding="border") == [16, 16, 128, 128]
    assert sampled(op, ROW, places, "nearest", "border") == [16, 16, 128, 128]


@both
def test_reflected_at_the_edge(op):
    # -1 is 0 again, -1.75 is .75; 4 is 3, 5 is 2; and so on, with a period of 8
    places = [-1, -1.75, 4, 5, 4.5, 8.25, -8]
    assert sampled(op, ROW, places, padding="reflection") == [16, 28, 128, 64, 96, 20, 16]


@both
def test_reflected_at_the_centre(op):
    row = [16, 32, 64, 128, 256]  # -1 is 1, 5 is 3, with a period of 8
    places = [-1, -0.25, 5, 8.5, -8]
    found = sampled(op, row, places, padding="reflection", align=True)
    assert found == [32, 20, 128, 24, 16]
    assert sampled(op, [5], [0, 1], padding="reflection") == [5, 5]


@both
def test_of_two_as_near_the_even_one(op):
    assert sampled(op, ROW, [0.5, 1.5, 2.5, -0.5, 3.5], "nearest") == [16, 64, 64, 16, 0]
    found = sampled(op, ROW, [0.375, 0.625], "nearest")
    assert found == [16, 32]


@both
def test_bicubic(op):
    """At 3/2, f(3/2) = -.09375 and f(1/2) = .59375; at 1/2 one of the pixels is outside."""
    inner = 0.59375 * (32 + 64) - 0.09375 * (16 + 128)
    first = 0.59375 * (16 + 32) - 0.09375 * 64
    assert sampled(op, ROW, [1.5, 0.5, 2], "bicubic") == [inner, first, 64]
    before = first - 0.09375 * 16  # border and mirror: pixel -1 is pixel 0
    assert sampled(op, ROW, [0.5], "bicubic", "border") == [before]
    assert sampled(op, ROW, [0.5], "bicubic", "reflection") == [before]
    # at -3/2: pixels 0, the last of four, and outside -3, -2, -1
    assert sampled(op, ROW, [-1.5, -2, -7], "bicubic") == [-0.09375 * 16, 0, 0]
    found = sampled(op, ROW, [-1.5], "bicubic", "reflection")  # 2, 1, 0, 0
    assert found == [-0.09375 * (64 + 16) + 0.59375 * (32 + 16)]
    assert sampled(op, ROW, [-1.5, 1e6], "bicubic", "border") == [16, 128]


@both
def test_bicubic_off_the_middle(op):
    """At 5/4: f(5/4) = -.75 (1/4) (9/16), f(1/4) = 1.25/64 - 2.25/16 + 1, f(3/4), f(7/4)."""
    f = [-0.75 / 4 * 9 / 16, 1.25 / 64 - 2.25 / 16 + 1, 1.25 * 27 / 64 - 2.25 * 9 / 16 + 1]
    f.append(-0.75 * 3 / 4 / 16)
    assert sampled(op, ROW, [1.25], "bicubic") == [float(np.dot(f, ROW))]


@both
def test_nan_is_minus_one(op):
    x = np.arange(4.0).reshape(1, 1, 2, 2) + 1
    for padding, expected in ("zeros", 0.25), ("border", 1), ("reflection", 1):
        y = op(x, np.full((1, 1, 1, 2), np.nan), padding_mode=padding)
        assert y.item() == expected
    for sign in (-np.inf, np.inf):
        grid = np.full((1, 1, 1, 2), sign)
        for mode in ("bilinear", "nearest", "bicubic"):
            assert op(x, grid, mode).item() == 0
            assert op(x, grid, mode, "border").item() == (1 if sign < 0 else 4)
        assert op(x, grid, padding_mode="reflection").item() == 1


@both
def test_pixels_outside_are_not_read_and_those_on_the_image_are(op):
    x = np.full((1, 1, 1, 2), np.inf)
    x[0, 0, 0, 1] = 3
    y = op(x, np.array([[[[grid_of(2.0, 2), 0], [grid_of(1.0, 2), 0], [grid_of(-2.0, 2), 0]]]]))
    np.testing.assert_array_equal(y[0, 0, 0], [0, 3, 0])
    y = op(x[..., ::-1], np.array([[[[grid_of(0.0, 2), 0]]]]))
    assert np.isnan(y).all()  # 0 times infinity


@both
def test_the_gradients(op):
    x = np.array([[[[1.0, 2], [5, 9]], [[0, 4], [0, 0]]]])
    place = [grid_of(0.75, 2), grid_of(0.25, 2)]  # row 1/4, column 3/4
    y, saved = op.forward(x, np.array([[[place]]]))
    assert y.ravel().tolist() == [0.75 * 1.75 + 0.25 * 8, 0.75 * 3]
    gx, grad = op.backward(saved, np.array([16.0, 32]).reshape(1, 2, 1, 1))
    assert gx[0, 0].tolist() == [[3, 9], [1, 3]]
    # along columns .75 (2 - 1) + .25 (9 - 5) and .75 (4), along rows .25 (4) + .75 (7) and
    # .75 (-4); a step of 1 is one pixel
    assert grad.ravel().tolist() == [16 * 1.75 + 32 * 3, 16 * 6.25 - 32 * 3]


@both
def test_the_gradient_of_repeated_samples_is_their_sum(op):
    grid = np.zeros((1, 300, 1, 2))
    _, saved = op.forward(np.zeros((1, 1, 3, 3)), grid)
    gx, _ = op.backward(saved, np.ones((1, 1, 300, 1)))
    assert gx[0, 0].tolist() == [[0, 0, 0], [0, 300, 0], [0, 0, 0]]


@both
@pytest.mark.parametrize(
    ("place", "padding", "slope"),
    [
        (1.0, "zeros", 32),  # at a pixel, towards the next one: 64 - 32
        (-1.0, "zeros", 16),
        (3.0, "zeros", -128),
        (0.0, "border", 0),
        (-5.0, "border", 0),
        (3.0, "border", 0),
        (-1.75, "reflection", -16),  # .75, on the way back
        (0.0, "reflection", 0),
    ],
)
def test_slopes_at_kinks(op, place, padding, slope):
    grid = np.array([[[[grid_of(place, 4), 0.0]]]])
    _, saved = op.forward(ROW.reshape(1, 1, 1, 4), grid, padding_mode=padding)
    _, grad = op.backward(saved, np.ones((1, 1, 1, 1)))
    assert grad[0, 0, 0, 0] == slope * 2  # pixels in a step of 1


@both
def test_bicubic_slopes(op):
    """At 3/2: f'(1/2) = 3 (1.25) / 4 - 2 (2.25) / 2 = -1.3125, f'(3/2) = -.75 (1/2) (-1/2) 3 ... by
    hand: d/dt [a (t - 1) (t - 2)^2] = a (t - 2) (3 t - 4), at 3/2 -.75 (-.5) (.5) = .1875."""
    _, saved = op.forward(ROW.reshape(1, 1, 1, 4), np.array([[[[0.0, 0.0]]]]), "bicubic")
    _, grad = op.backward(saved, np.ones((1, 1, 1, 1)))
    assert grad[0, 0, 0, 0] == 2 * (1.3125 * (64 - 32) - 0.1875 * (128 - 16))


@both
def test_nearest_has_no_slope(op):
    _, saved = op.forward(ROW.reshape(1, 1, 1, 4), np.array([[[[0.1, 0.0]]]]), "nearest")
    gx, grad = op.backward(saved, np.ones((1, 1, 1, 1)))
    assert gx.ravel().tolist() == [0, 0, 1, 0]
    assert not grad.any()
