"""pad: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

X = np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])

both = pytest.mark.parametrize("op", [ns.pad, ns.pad.reference])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_side_has_its_own_width(op, dtype):
    y = op(X.astype(dtype), (1, 0, 2, 1), 9)  # top 1, bottom 0, left 2, right 1
    assert y.dtype == dtype
    assert y[0, 0].tolist() == [
        [9, 9, 9, 9, 9, 9],
        [9, 9, 1, 2, 3, 9],
        [9, 9, 4, 5, 6, 9],
    ]


@both
@pytest.mark.parametrize(
    ("padding", "shape"),
    [(1, (4, 5)), ((1, 0), (4, 3)), ((0, 2), (2, 7)), (((0, 1), (2, 0)), (3, 5))],
)
def test_spellings_of_padding(op, padding, shape):
    assert op(X, padding).shape == (1, 1, *shape)
    assert ns.pad.output_shape((1, 1, 2, 3), padding) == (1, 1, *shape)


@both
def test_negative_sides_crop(op):
    assert op(X, (-1, 0, 0, -2))[0, 0].tolist() == [[4]]
    assert op(X, (-1, 1, -1, 1), 9)[0, 0].tolist() == [[5, 6, 9], [9, 9, 9]]


@both
def test_an_image_cropped_away_and_padded_again(op):
    # the rows move up by three: none of the two is left; below them value
    assert op(X, (-3, 2, 0, 0), 7)[0, 0].tolist() == [[7, 7, 7]]
    assert op(X, (0, 0, 1, -4), 7)[0, 0].tolist() == [[], []]
    # the columns move left by four and right by two
    assert op(X, (0, 0, -4, 2), 7)[0, 0].tolist() == [[7], [7]]
    assert op(X, (0, 0, 4, -5), 7)[0, 0].tolist() == [[7, 7], [7, 7]]


@both
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_value_may_be_any_number(op, value):
    y = op(X, (0, 1, 0, 0), value)[0, 0]
    np.testing.assert_array_equal(y, [[1, 2, 3], [4, 5, 6], [value] * 3])


@both
def test_the_gradient_is_cut_out_and_zero_where_the_image_was(op):
    _, saved = op.forward(X, (1, -1, 0, 1), 9)  # y: a row of padding, then row 0
    grad = np.array([[[[1.0, 2, 3, 4], [5, 6, 7, 8]]]])
    assert op.backward(saved, grad)[0][0, 0].tolist() == [[5, 6, 7], [0, 0, 0]]


@both
def test_the_gradient_of_columns(op):
    _, saved = op.forward(X[:, :, :1], (0, 0, 1, 2))
    assert op.backward(saved, np.array([[[[1.0, 2, 3, 4, 5, 6]]]]))[0].tolist() == [[[[2, 3, 4]]]]
    _, saved = op.forward(X[:, :, :1], (0, 0, -2, 1))
    assert op.backward(saved, np.array([[[[7.0, 8]]]]))[0].tolist() == [[[[0, 0, 7]]]]


def test_the_matrix_leaves_out_the_value():
    m = ns.pad.matrix((1, 1, 2, 3), (1, -1, 0, 1), 9)
    assert m.shape == (8, 6)
    y = (m @ X.ravel()).reshape(2, 4)
    assert y.tolist() == [[0, 0, 0, 0], [1, 2, 3, 0]]


def test_reach():
    rows, columns = ns.pad.plan((1, 1, 2, 3), (3, 0, 2, 0)).reach
    assert (rows.first, rows.last, columns.first) == (-3, -3, -2)


CONTINUED = [  # of the row 1 2 3
    ("reflect", 2, [3, 2, 1, 2, 3, 2, 1]),
    ("reflect", 5, [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2]),
    ("replicate", 2, [1, 1, 1, 2, 3, 3, 3]),
    ("circular", 2, [2, 3, 1, 2, 3, 1, 2]),
    ("circular", 4, [3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]),
    ("symmetric", 2, [2, 1, 1, 2, 3, 3, 2]),
    ("symmetric", 4, [3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1]),
]


@both
@pytest.mark.parametrize(("mode", "width", "expected"), CONTINUED)
def test_the_image_is_continued(op, mode, width, expected):
    row = X[:, :, :1]
    assert op(row, (0, width), mode=mode)[0, 0].tolist() == [expected]
    column = op(row.swapaxes(2, 3), (width, 0), mode=mode)
    assert column[0, 0, :, 0].tolist() == expected
    before = op(row, (0, 0, width, 0), mode=mode)
    assert before[0, 0].tolist() == [expected[: width + 3]]


@both
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "symmetric"])
def test_one_pixel_is_all_there_is(op, mode):
    assert op(X[:, :, :1, :1], (0, 2, 1, 0), mode=mode)[0, 0].tolist() == [[1, 1]] * 3


@both
def test_the_gradient_adds_up_the_copies(op):
    _, saved = op.forward(X[:, :, :1], (0, 2), mode="reflect")  # 3 2 1 2 3 2 1
    gx = op.backward(saved, np.array([[[[1.0, 2, 3, 4, 5, 6, 7]]]]))[0]
    assert gx.tolist() == [[[[3 + 7, 2 + 4 + 6, 1 + 5]]]]
    _, saved = op.forward(X[:, :, :, :1], (1, 0), mode="circular")  # rows 1 0 1 0
    gx = op.backward(saved, np.array([[[[1.0], [2], [3], [4]]]]))[0]
    assert gx.tolist() == [[[[2 + 4], [1 + 3]]]]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "symmetric"])
def test_the_modes_are_those_of_numpy(mode):
    names = {"replicate": "edge", "circular": "wrap"}
    x = np.random.default_rng(0).normal(size=(2, 1, 3, 4))
    for sides in [(1, 2, 3, 0), (7, 0, 5, 9)]:
        widths = [(0, 0), (0, 0), sides[:2], sides[2:]]
        np.testing.assert_array_equal(
            ns.pad(x, sides, mode=mode), np.pad(x, widths, mode=names.get(mode, mode))
        )


@pytest.mark.parametrize(
    ("mode", "first", "last"),
    [("reflect", -5, 1), ("replicate", -3, 0), ("circular", -11, 9), ("symmetric", -4, 0)],
)
def test_reach_of_the_image_continued(mode, first, last):
    _, columns = ns.pad.plan((1, 1, 1, 10), (0, 0, 1, 2), mode=mode).reach
    assert (columns.first, columns.last) == (first, last)
