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
    y, indices = op(row, (1, kernel), **across, return_indices=True)
    column, places = op(row.reshape(1, 1, -1, 1), (kernel, 1), **down, return_indices=True)
    np.testing.assert_array_equal(y.ravel(), column.ravel())
    np.testing.assert_array_equal(indices.ravel(), places.ravel())
    return y[0, 0, 0].tolist(), indices[0, 0, 0].tolist()


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_by_two(op, dtype):
    x = np.array([[[[1, 5, 2, 0], [3, 4, 8, 7], [9, 9, -1, -2], [9, 9, -3, -4]]]], dtype)
    y, indices = op(x, 2, return_indices=True)
    assert y.dtype == dtype
    assert indices.dtype == np.int64
    assert y[0, 0].tolist() == [[5, 8], [9, -1]]
    assert indices[0, 0].tolist() == [[1, 6], [8, 10]]  # of the four nines the first
    assert op(x, 2).tolist() == y.tolist()


@both
def test_rows_and_columns_have_their_own_window(op):
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    y, indices = op(x, (2, 3), (1, 1), return_indices=True)
    # the largest is at the bottom right: row 1 or 2, column 2 or 3
    assert y.tolist() == [[[[6, 7], [10, 11]], [[18, 19], [22, 23]]]]
    assert indices.tolist() == [[[[6, 7], [10, 11]]] * 2]


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
    y, indices = op(x, 2, return_indices=True)
    assert indices.item() == place
    np.testing.assert_equal(y.item(), x.ravel()[place])


@both
def test_padding_never_wins(op):
    values, indices = pool_row(op, [-3, -5, -inf, -inf], 2, stride=2, padding=1)
    assert values == [-3, -5, -inf]  # windows {-3}, {-5 -inf}, {-inf}
    assert indices == [0, 1, 3]


@both
def test_four_sides(op):
    x = np.arange(6.0).reshape(1, 1, 2, 3)
    y, indices = op(x, 2, 1, (1, 0, 0, 1), return_indices=True)
    assert y[0, 0].tolist() == [[1, 2, 2], [4, 5, 5]]
    assert indices[0, 0].tolist() == [[1, 2, 2], [4, 5, 5]]


@both
def test_dilation(op):
    values, indices = pool_row(op, [9, 1, 2, 8, 3], 2, stride=1, dilation=2)
    assert values == [9, 8, 3]  # {9 2} {1 8} {2 3}
    assert indices == [0, 3, 4]
    values, indices = pool_row(op, [9, 1, 2, 8, 3], 3, stride=3, dilation=2, padding=2)
    assert values == [9, 8]  # {9 2} from -2, {1 8} from 1
    assert indices == [0, 3]


@both
def test_a_window_that_straddles_a_small_image_has_no_winner(op):
    # taps at -1 and 1 of one pixel
    x = np.ones((1, 1, 1, 1))
    y, saved = op.forward(x, 2, dilation=2, padding=1)
    assert y.tolist() == [[[[-inf]]]]
    assert saved.indices.tolist() == [[[[-1]]]]
    assert op.backward(saved, np.ones_like(y))[0].tolist() == [[[[0]]]]
    # taps at -1 and 1, then at 0 and 2
    values, indices = pool_row(op, [4, 5], 2, stride=1, dilation=2, padding=1)
    assert values == [5, 4]
    assert indices == [1, 0]


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
        y, indices = op(
            x, (1, kernel), (1, stride), (0, padding), ceil_mode=ceil_mode, return_indices=True
        )
        last = [min(o * stride - padding + kernel, i) - 1 for o in range(count)]
        assert y[0, 0, 0].tolist() == indices[0, 0, 0].tolist() == last


@both
@pytest.mark.parametrize("rule", ["torch", "caffe"])
@pytest.mark.parametrize(
    ("i", "kernel", "stride", "padding"),
    [(2, 3, 2, 0), (1, 2, 2, 0), (1, 3, 4, 0), (2, 5, 2, 1), (3, 7, 3, 1)],
)
def test_ceil_mode_has_one_window_where_it_is_larger_than_the_image(
    op, rule, i, kernel, stride, padding
):
    """As PyTorch 2.13 gives them: all that is there, and its last pixel here."""
    x = np.arange(float(i * i)).reshape(1, 1, i, i)
    how = {"ceil_rule": rule, "return_indices": True}
    y, indices = op(x, kernel, stride, padding, ceil_mode=True, **how)
    assert y.tolist() == [[[[i * i - 1.0]]]]
    assert indices.tolist() == [[[[i * i - 1]]]]
    _, saved = op.forward(x, kernel, stride, padding, ceil_mode=True)
    (gx,) = op.backward(saved, np.full((1, 1, 1, 1), 5.0))
    assert gx.ravel().tolist() == [0.0] * (i * i - 1) + [5.0]
    with pytest.raises(ns.ArgumentError, match=f"spans {kernel} rows"):
        op(x, kernel, stride, padding)


@both
@pytest.mark.parametrize(
    ("i", "kernel", "stride"), [(1, 3, 2), (2, 5, 2), (3, 5, 2), (0, 2, 2), (0, 2, 4)]
)
@pytest.mark.parametrize("rule", ["torch", "caffe"])
def test_a_window_larger_by_the_stride_is_refused(op, i, kernel, stride, rule):
    with pytest.raises(ns.ArgumentError, match=f"spans {kernel} rows .* but x has {i} rows"):
        op(np.zeros((1, 1, i, 9)), kernel, stride, ceil_mode=True, ceil_rule=rule)


@both
def test_the_gradient_goes_to_the_winner(op):
    x = np.array([[[[1.0, 5, 2, 0], [3, 4, 8, 7]]]])
    _, saved = op.forward(x, 2)
    gx = op.backward(saved, np.array([[[[10.0, 20]]]]))[0]
    assert gx[0, 0].tolist() == [[0, 10, 0, 0], [0, 0, 20, 0]]


@both
def test_gradients_of_overlapping_windows_add_up(op):
    x = np.array([[[[1.0, 9, 2, 3]]]])
    _, saved = op.forward(x, (1, 2), 1, return_indices=True)  # 9 9 3
    assert saved.indices.tolist() == [[[[1, 1, 3]]]]
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


def test_indices_changed_after_forward_write_nothing_outside():
    _, saved = ns.max_pool2d.forward(np.ones((1, 1, 2, 4)), 2)
    saved.indices[...] = [[[[8, 10**12]]]]
    assert not ns.max_pool2d.backward(saved, np.ones((1, 1, 1, 2)))[0].any()


def test_places_are_as_wide_as_they_must_be(monkeypatch):
    """Places on planes of 2**31 pixels and more are int64, here on a small one."""
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 9, 11)).astype(np.float32)
    expected = ns.max_pool2d(x, 3, 2, 1, return_indices=True)
    monkeypatch.setattr(cpu, "NARROW", -1)
    found = ns.max_pool2d(x, 3, 2, 1, return_indices=True)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kernel", [(3, 5), (8, 1), (2, 40), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_rows_longer_than_a_vector(kernel, stride):
    x = np.random.default_rng(0).choice([0, 1, 2, nan, -inf], (2, 1, 11, 41)).astype(np.float32)
    expected = ns.max_pool2d.reference(x, kernel, stride, return_indices=True)
    found = ns.max_pool2d(x, kernel, stride, return_indices=True)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


# -- conventions ----------------------------------------------------------------------------------

FLT_MAX = 3.4028234663852886e38


def pool(op, values, kernel, **how):
    """Values, indices, and the gradient where each window has 6."""
    x = np.array(values, float).reshape(1, 1, 1, -1)
    how = {name: (0, value) if name == "padding" else value for name, value in how.items()}
    y, saved = op.forward(x, (1, kernel), **how)
    grad = op.backward(saved, np.full_like(y, 6))[0]
    return y[0, 0, 0].tolist(), saved.indices[0, 0, 0].tolist(), grad[0, 0, 0].tolist()


@both
def test_caffe_keeps_an_empty_last_window_without_padding(op):
    # windows of 1 from 0, 3, 6: the third starts after the five pixels
    how = {"stride": (1, 3), "ceil_mode": True}
    x = [1, 2, 3, 4, 5]
    assert pool(op, x, 1, **how)[:2] == ([1, 4], [0, 3])
    assert pool(op, x, 1, **how, ceil_rule="caffe")[:2] == ([1, 4, -inf], [0, 3, -1])
    # of two pixels and a stride of 4, from 0 and 4: ceil((5 - 2) / 4) + 1 = 2, the second is 4
    assert pool(op, x, 2, stride=(1, 4), ceil_mode=True)[:2] == ([2, 5], [1, 4])
    # of 2 with stride 4 over 4 pixels: from 0 and 4, where nothing is
    how = {"stride": (1, 4), "ceil_mode": True}
    assert pool(op, x[:4], 2, **how)[:2] == ([2], [1])
    y, indices, grad = pool(op, x[:4], 2, **how, ceil_rule="caffe", lowest=-FLT_MAX)
    assert (y, indices, grad) == ([2, -FLT_MAX], [1, -1], [0, 6, 0, 0])
    assert pool(op, x[:4], 2, **how, ceil_rule="caffe")[0] == [2, -inf]


@both
def test_with_padding_on_any_side_caffe_drops_it_too(op):
    # 3 pixels, padding 1, windows of 2 from -1 and 3: the second starts in the padding
    how = {"stride": (1, 4), "ceil_mode": True, "padding": 1}
    assert pool(op, [1, 2, 3], 2, **how)[:2] == ([1], [0])
    assert pool(op, [1, 2, 3], 2, **how, ceil_rule="caffe")[:2] == ([1], [0])
    # padding of the rows alone counts: without it the row has a second window, from 4
    x = np.ones((1, 1, 2, 4))
    for padding, windows in ((0, 2), (1, 1)):
        y = op(x, 2, (1, 4), (padding, 0), ceil_mode=True, ceil_rule="caffe")
        assert y.shape[3] == windows


@both
def test_padding_up_to_one_less_than_the_window(op):
    values, indices, _ = pool(op, [4, 5], 3, stride=1, padding=2)
    assert values == [4, 5, 5, 5]
    assert indices == [0, 1, 1, 1]


@both
def test_caffe_wants_more_than_the_lowest_float(op):
    how = {"lowest": -FLT_MAX, "nan": "drop"}
    assert pool(op, [-inf, -inf, -1, -inf, nan, nan], 2, **how)[:2] == (
        [-FLT_MAX, -1, -FLT_MAX],
        [-1, 2, -1],
    )
    assert pool(op, [0, 1, -2, -1], 2, lowest=0)[:2] == ([1, 0], [1, -1])
    assert pool(op, [0, -1], 2, lowest=0) == ([0], [-1], [0, 0])  # it must be exceeded
    assert pool(op, [0, 1, nan, -1], 2, lowest=0)[1] == [1, 2]  # NaN is dropped by nan= alone


@both
@pytest.mark.parametrize(
    ("window", "propagate", "first", "drop"),
    [
        ([1, nan, 2], 1, 2, 2),
        ([nan, 1, 2], 0, 0, 2),
        ([1, 2, nan], 2, 1, 1),
        ([nan, 1, nan], 2, 0, 1),
        ([nan, nan, nan], 2, 0, -1),
        ([nan, -inf, -inf], 0, 0, 1),
        ([-inf, nan, -inf], 1, 0, 0),
        ([-inf, -inf, -inf], 0, 0, 0),
        ([5, 5, nan], 2, 0, 0),
    ],
)
def test_rules_for_nan(op, window, propagate, first, drop):
    for rule, place in (("propagate", propagate), ("first", first), ("drop", drop)):
        for x in (np.reshape(window, (1, 1, 1, 3)), np.reshape(window, (1, 1, 3, 1))):
            y, indices = op(x, x.shape[2:], nan=rule, return_indices=True)
            expected = x.ravel()[place] if place >= 0 else -inf
            assert indices.item() == place, (rule, x.shape)
            np.testing.assert_array_equal(y.item(), expected)


@both
def test_the_first_pixel_of_a_window_is_the_first_on_the_image(op):
    assert pool(op, [nan, 1, 2], 3, stride=1, padding=1, nan="first")[1] == [0, 0, 2]
    x = np.array([[[[1, nan], [2, 3]]]])
    assert op(x, 2, nan="first", return_indices=True)[1].item() == 3
    x = np.array([[[[nan, 1], [2, nan]]]])
    assert op(x, 2, nan="first", return_indices=True)[1].item() == 0


@both
def test_where_the_gradient_of_a_tie_goes(op):
    x = [3, 3, 1, 3, 2, 2]
    for ties, gradient in (
        ("first", [6, 0, 0, 6, 0, 0]),
        ("split", [3, 3, 0, 6, 0, 0]),
        ("all", [6, 6, 0, 6, 0, 0]),
    ):
        assert pool(op, x, 3, ties=ties)[2] == gradient
    # windows {3 3} {3 1} {1 3} {3 2} {2 2}
    assert pool(op, x, 2, stride=1, ties="split")[2] == [3, 9, 0, 12, 3, 3]
    assert pool(op, x, 2, stride=1, ties="all")[2] == [6, 12, 0, 12, 6, 6]


@both
def test_zeros_tie_and_so_do_nans_and_nothing_has_no_gradient(op):
    assert pool(op, [0.0, -0.0, nan, nan], 2, ties="split")[2] == [3, 3, 3, 3]
    assert pool(op, [-1, -1, 1, 1], 2, ties="all", lowest=0)[2] == [0, 0, 6, 6]
    assert pool(op, [7, 7], 2, stride=1, padding=1, ties="split")[2] == [9, 9]


@both
def test_index_layouts(op):
    x = np.zeros((2, 3, 2, 4))
    x[:, :, 1, 1] = x[:, :, 0, 3] = 1  # places 5 and 3
    shape = x.shape
    for layout, order in (("nchw", "nchw"), ("nhwc", "nhwc"), ("hwc", "hwc"), ("ncwh", "ncwh")):
        y, saved = op.forward(x, 2, index_layout=layout)
        indices = saved.indices
        for n, c in np.ndindex(2, 3):
            for q, (row, column) in enumerate([(1, 1), (0, 3)]):
                at = {"n": n, "c": c, "h": row, "w": column}
                sizes = dict(zip("nchw", shape, strict=True))
                flat = np.ravel_multi_index([at[a] for a in order], [sizes[a] for a in order])
                assert indices[n, c, 0, q] == flat
        grad = op.backward(saved, np.ones_like(y))[0]
        np.testing.assert_array_equal(grad, x)
    # the second image, its last channel: 5 and 3 of (1, 2)
    found = op(x, 2, index_layout="nchw", return_indices=True)[1]
    assert found[1, 2, 0].tolist() == [40 + 5, 40 + 3]
    found = op(x, 2, index_layout="hwc", return_indices=True)[1]
    assert found[1, 2, 0].tolist() == [5 * 3 + 2, 3 * 3 + 2]


@both
@pytest.mark.parametrize("layout", ["hw", "nchw", "ncwh", "hwc", "nhwc"])
@pytest.mark.parametrize("size", [(1, 4), (4, 1), (3, 5)])
def test_every_layout_finds_its_pixels_again(op, layout, size):
    x = np.random.default_rng(0).normal(size=(2, 3, *size))
    _, saved = op.forward(x, 1, index_layout=layout)
    np.testing.assert_array_equal(op.backward(saved, x)[0], x)
    tangent = 10 * x
    np.testing.assert_array_equal(op.jvp(x, 1, index_layout=layout, tangents={"x": tangent})[1],
                                  tangent)  # fmt: skip
    for wrong in (-1, 10**9, -(10**9)):
        saved.indices[...] = wrong
        assert not op.backward(saved, x)[0].any()


def test_indices_of_other_planes_are_of_no_pixel():
    x = np.ones((2, 3, 2, 2))
    for layout in ("nchw", "nhwc", "hwc"):
        _, saved = ns.max_pool2d.forward(x, 2, index_layout=layout)
        saved.indices[...] = np.roll(saved.indices, 1, 1)  # the next channel's
        assert not ns.max_pool2d.backward(saved, np.ones((2, 3, 1, 1)))[0].any()


def test_tangents_at_ties():
    x = np.array([[[[3.0, 3, 1, 3, 2, 2]]]])
    v = np.array([[[[1.0, 10, 100, 2, 20, 200]]]])
    for ties, expected in (("first", [1, 2]), ("split", [5.5, 2]), ("all", [11, 2])):
        tangent = ns.max_pool2d.jvp(x, (1, 3), ties=ties, tangents={"x": v})[1]
        assert tangent.ravel().tolist() == expected


def test_matrices_for_given_indices():
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 5, 4)).astype(float)
    for how in ({}, {"index_layout": "nhwc", "padding": 1}):
        y, indices = ns.max_pool2d(x, 3, 2, return_indices=True, **how)
        for face in (ns.max_pool2d.matrix, ns.max_pool2d.linear_operator):
            m = face(x.shape, 3, 2, indices=indices, **how)
            np.testing.assert_array_equal(m @ x.ravel(), y.ravel())
            assert m.shape == (y.size, x.size)
    with pytest.raises(ns.ArgumentError, match="linear only for given indices"):
        ns.max_pool2d.matrix(x.shape, 3)
    y, saved = ns.max_pool2d.forward(x, 2, ties="split")
    given = {"indices": saved.indices, "tied": saved.tied}
    for face in (ns.max_pool2d.matrix, ns.max_pool2d.linear_operator):
        m = face(x.shape, 2, ties="split", **given)
        np.testing.assert_allclose(m @ x.ravel(), y.ravel(), rtol=1e-15)
        grad = ns.max_pool2d.backward(saved, y)[0].ravel()
        np.testing.assert_allclose(m.T @ y.ravel(), grad, rtol=1e-15)
        with pytest.raises(ns.ArgumentError, match="linear only for given tied"):
            face(x.shape, 2, ties="split", indices=saved.indices)


@pytest.mark.parametrize("nan_rule", ["propagate", "first", "drop"])
@pytest.mark.parametrize("lowest", [-inf, 0])
@pytest.mark.parametrize("ties", ["first", "split", "all"])
def test_conventions_on_rows_longer_than_a_vector(nan_rule, lowest, ties):
    rng = np.random.default_rng(0)
    x = rng.choice([0, 1, 2, nan, -inf], (2, 2, 11, 41)).astype(np.float32)
    for kernel, stride, padding in ((3, 2, 1), ((2, 5), 1, (0, 4)), (11, 41, 0), ((8, 1), 7, 0)):
        how = {"nan": nan_rule, "lowest": lowest, "ties": ties, "index_layout": "nhwc"}
        args = x, kernel, stride, padding
        y, saved = ns.max_pool2d.forward(*args, **how)
        expected, by_definition = ns.max_pool2d.reference.forward(*args, **how)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(saved.indices, by_definition.indices)
        np.testing.assert_array_equal(saved.tied, by_definition.tied)
        gy = rng.integers(-9, 9, y.shape).astype(np.float32)
        grad = ns.max_pool2d.backward(saved, gy)[0]
        wanted = ns.max_pool2d.reference.backward(by_definition, gy)[0]
        if ties == "split":
            np.testing.assert_allclose(grad, wanted, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(grad, wanted)


@both
def test_tensorflows_same_and_its_argmax(op):
    # 4 x 1 pixels of 2 channels, windows of 3 with stride 2: one row of padding, after the image
    x = np.array([[[[1.0], [5], [2], [7]], [[9], [3], [4], [4]]]])
    y, indices = op(x, (3, 1), (2, 1), "same", return_indices=True, index_layout="hwc")
    assert y[0, :, :, 0].tolist() == [[5, 7], [9, 4]]
    # (y * W + x) * C + c
    assert indices[0, :, :, 0].tolist() == [[1 * 2, 3 * 2], [0 + 1, 2 * 2 + 1]]
    x = np.concatenate([x, x])
    y, indices = op(x, (3, 1), (2, 1), "same", return_indices=True, index_layout="nhwc")
    assert indices[1, :, :, 0].tolist() == [[8 + 2, 8 + 6], [8 + 1, 8 + 5]]


def test_a_stride_far_beyond_the_image_takes_no_memory() -> None:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    assert ns.max_pool2d(x, 2, 2**31 - 1).tolist() == [[[[5.0]]]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_go_wherever_the_indices_of_a_large_plane_point(dtype, monkeypatch):
    """In order, in any order, all to one pixel, and to none: more than are looked at together."""
    memory = np.full(6 * 45 * 37 + 64, 7, dtype)
    x = np.random.default_rng(0).normal(size=(1, 6, 45, 37)).astype(dtype)
    y, saved = ns.max_pool2d.forward(x, 3, stride=2, padding=1)
    indices = saved.indices.copy()
    rng = np.random.default_rng(1)
    indices[0, 1] = rng.permutation(indices[0, 1].ravel()).reshape(indices.shape[2:])
    indices[0, 2] = rng.integers(0, 45 * 37, indices.shape[2:])
    indices[0, 3] = 45 * 37 - 1
    indices[0, 4] = -1
    indices[0, 5, 11, ::2] = -1
    indices[0, 5, 17, 5], indices[0, 5, 22, 18] = 45 * 37, 2**40
    gradient = rng.integers(1, 9, y.shape).astype(dtype)
    saved = saved._replace(indices=indices)
    expected = np.zeros((6, 45 * 37), dtype)
    for plane, at, given in zip(
        expected, indices.reshape(6, -1), gradient.reshape(6, -1), strict=True
    ):
        on_plane = (at >= 0) & (at < 45 * 37)
        np.add.at(plane, at[on_plane], given[on_plane])
    monkeypatch.setattr("numseg.device.Host.empty", lambda s, _: memory[:-64].reshape(s))
    ours = ns.max_pool2d.backward(saved, gradient)[0]
    np.testing.assert_array_equal(ours.reshape(6, -1), expected)
    assert np.all(memory[-64:] == 7)
