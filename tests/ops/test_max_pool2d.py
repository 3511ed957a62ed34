"""max_pool2d: values by hand, and what PyTorch does with ties, NaN and infinity."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import numseg as ns

nan, inf = np.nan, np.inf
cpu = importlib.import_module("numseg.ops.max_pool2d.cpu")

both = pytest.mark.parametrize("op", [ns.max_pool2d, ns.max_pool2d.reference])


def pool_row(op, values, kernel, dtype=np.float64, **kwargs):
    """Pool one row; checked to give the same on a column."""
    row = np.array(values, dtype).reshape(1, 1, 1, -1)
    one = {"stride": 1, "padding": 0, "dilation": 1}
    across = {name: (one[name], value) for name, value in kwargs.items()}
    down = {name: (value, one[name]) for name, value in kwargs.items()}
    y, switches = op(row, (1, kernel), **across, return_switches=True)
    column, places = op(row.reshape(1, 1, -1, 1), (kernel, 1), **down, return_switches=True)
    np.testing.assert_array_equal(y.ravel(), column.ravel())
    np.testing.assert_array_equal(switches.ravel(), places.ravel())
    return y[0, 0, 0].tolist(), switches[0, 0, 0].tolist()


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_by_two(op, dtype):
    x = np.array([[[[1, 5, 2, 0], [3, 4, 8, 7], [9, 9, -1, -2], [9, 9, -3, -4]]]], dtype)
    y, switches = op(x, 2, return_switches=True)
    assert y.dtype == dtype
    assert switches.dtype == np.int64
    assert y[0, 0].tolist() == [[5, 8], [9, -1]]
    assert switches[0, 0].tolist() == [[1, 6], [8, 10]]  # of the four nines the first
    assert op(x, 2).tolist() == y.tolist()


@both
def test_rows_and_columns_have_their_own_window(op):
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    y, switches = op(x, (2, 3), (1, 1), return_switches=True)
    # the largest is at the bottom right: row 1 or 2, column 2 or 3
    assert y.tolist() == [[[[6, 7], [10, 11]], [[18, 19], [22, 23]]]]
    assert switches.tolist() == [[[[6, 7], [10, 11]]] * 2]


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("window", "place"),
    [
        ([1, 1, 1], 0),
        ([0, 2, 2], 1),
        ([0.0, -0.0, 0.0], 0),
        ([-0.0, 0.0, -1.0], 0),
        ([inf, inf, 0], 0),
        ([-inf, -inf, -inf], 0),
        ([-inf, -inf, -5], 2),
        ([nan, 5, 1], 0),
        ([5, nan, inf], 1),
        ([nan, 7, nan], 2),  # the last NaN
        ([nan, nan, 1], 1),
    ],
)
def test_ties_nan_and_infinity(op, dtype, window, place):
    (value,), (switch,) = pool_row(op, window, 3, dtype=dtype)
    assert switch == place
    np.testing.assert_equal(value, window[place])
    assert np.signbit(value) == np.signbit(window[place])


@both
@pytest.mark.parametrize(
    ("window", "place"),
    [
        ([[1, 2], [2, 1]], 1),  # row 0, column 1 comes before row 1, column 0
        ([[1, 1], [1, 1]], 0),
        ([[0, 0], [3, 3]], 2),
        ([[nan, 1], [1, nan]], 3),
        ([[1, nan], [nan, 1]], 2),  # the last in row-major order, though not of its row
        ([[-inf, -inf], [-inf, -inf]], 0),
        ([[-inf, -inf], [-inf, nan]], 3),
    ],
)
def test_the_order_is_row_major(op, window, place):
    x = np.array(window, np.float32).reshape(1, 1, 2, 2)
    y, switches = op(x, 2, return_switches=True)
    assert switches.item() == place
    np.testing.assert_equal(y.item(), x.ravel()[place])


@both
def test_padding_never_wins(op):
    values, switches = pool_row(op, [-3, -5, -inf, -inf], 2, stride=2, padding=1)
    assert values == [-3, -5, -inf]  # windows {-3}, {-5 -inf}, {-inf}
    assert switches == [0, 1, 3]


@both
def test_four_sides(op):
    x = np.arange(6.0).reshape(1, 1, 2, 3)
    y, switches = op(x, 2, 1, (1, 0, 0, 1), return_switches=True)
    assert y[0, 0].tolist() == [[1, 2, 2], [4, 5, 5]]
    assert switches[0, 0].tolist() == [[1, 2, 2], [4, 5, 5]]


@both
def test_dilation(op):
    values, switches = pool_row(op, [9, 1, 2, 8, 3], 2, stride=1, dilation=2)
    assert values == [9, 8, 3]  # {9 2} {1 8} {2 3}
    assert switches == [0, 3, 4]
    values, switches = pool_row(op, [9, 1, 2, 8, 3], 3, stride=3, dilation=2, padding=2)
    assert values == [9, 8]  # {9 2} from -2, {1 8} from 1
    assert switches == [0, 3]


@both
def test_a_window_that_straddles_a_small_image_has_no_winner(op):
    # taps at -1 and 1 of one pixel
    x = np.ones((1, 1, 1, 1))
    y, saved = op.forward(x, 2, dilation=2, padding=1)
    assert y.tolist() == [[[[-inf]]]]
    assert saved.switches.tolist() == [[[[-1]]]]
    assert op.backward(saved, np.ones_like(y))[0].tolist() == [[[[0]]]]
    # taps at -1 and 1, then at 0 and 2
    values, switches = pool_row(op, [4, 5], 2, stride=1, dilation=2, padding=1)
    assert values == [5, 4]
    assert switches == [1, 0]


@both
@pytest.mark.parametrize(
    ("i", "kernel", "stride", "padding", "floor", "ceil"),
    [
        (5, 2, 2, 0, 2, 3),  # the third window is one pixel
        (4, 2, 2, 0, 2, 2),
        (5, 2, 3, 1, 2, 2),  # windows from -1, 2; one from 5 would start after the image
        (4, 3, 3, 1, 2, 2),
        (6, 3, 4, 0, 1, 2),
        (3, 2, 4, 1, 1, 1),  # from -1; one from 3 would start in the padding
    ],
)
def test_ceil_mode_drops_windows_that_start_after_the_image(
    op, i, kernel, stride, padding, floor, ceil
):
    x = np.arange(float(i)).reshape(1, 1, 1, i)
    for ceil_mode, count in ((False, floor), (True, ceil)):
        y, switches = op(
            x, (1, kernel), (1, stride), (0, padding), ceil_mode=ceil_mode, return_switches=True
        )
        last = [min(o * stride - padding + kernel, i) - 1 for o in range(count)]
        assert y[0, 0, 0].tolist() == switches[0, 0, 0].tolist() == last


@both
def test_the_gradient_goes_to_the_winner(op):
    x = np.array([[[[1.0, 5, 2, 0], [3, 4, 8, 7]]]])
    _, saved = op.forward(x, 2)
    gx = op.backward(saved, np.array([[[[10.0, 20]]]]))[0]
    assert gx[0, 0].tolist() == [[0, 10, 0, 0], [0, 0, 20, 0]]


@both
def test_gradients_of_overlapping_windows_add_up(op):
    x = np.array([[[[1.0, 9, 2, 3]]]])
    _, saved = op.forward(x, (1, 2), 1, return_switches=True)  # 9 9 3
    assert saved.switches.tolist() == [[[[1, 1, 3]]]]
    assert op.backward(saved, np.array([[[[1.0, 2, 4]]]]))[0].tolist() == [[[[0, 3, 0, 4]]]]
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1
    _, saved = op.forward(x, 2, 1)
    gx = op.backward(saved, np.array([[[[1.0, 2], [4, 8]]]]))[0]
    assert gx[0, 0].tolist() == [[0, 0, 0], [0, 15, 0], [0, 0, 0]]


@both
def test_at_a_tie_the_winner_takes_all(op):
    _, saved = op.forward(np.ones((1, 1, 2, 2)), 2)
    assert op.backward(saved, np.array([[[[8.0]]]]))[0][0, 0].tolist() == [[8, 0], [0, 0]]


def test_switches_changed_after_forward_write_nothing_outside():
    _, saved = ns.max_pool2d.forward(np.ones((1, 1, 2, 4)), 2)
    saved.switches[...] = [[[[8, 10**12]]]]
    assert not ns.max_pool2d.backward(saved, np.ones((1, 1, 1, 2)))[0].any()


def test_places_are_as_wide_as_they_must_be(monkeypatch):
    """Places on planes of 2**31 pixels and more are int64, here on a small one."""
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 9, 11)).astype(np.float32)
    expected = ns.max_pool2d(x, 3, 2, 1, return_switches=True)
    monkeypatch.setattr(cpu, "NARROW", -1)
    found = ns.max_pool2d(x, 3, 2, 1, return_switches=True)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kernel", [(3, 5), (8, 1), (2, 40), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_rows_longer_than_a_vector(kernel, stride):
    x = np.random.default_rng(0).choice([0, 1, 2, nan, -inf], (2, 1, 11, 41)).astype(np.float32)
    expected = ns.max_pool2d.reference(x, kernel, stride, return_switches=True)
    found = ns.max_pool2d(x, kernel, stride, return_switches=True)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
