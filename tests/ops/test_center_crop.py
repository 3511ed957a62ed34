"""center_crop: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

ROW = np.arange(7.0).reshape(1, 1, 1, 7)

both = pytest.mark.parametrize("op", [ns.center_crop, ns.center_crop.reference])


@both
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (7, [0, 1, 2, 3, 4, 5, 6]),
        (6, [0, 1, 2, 3, 4, 5]),  # one too many: the last goes
        (5, [1, 2, 3, 4, 5]),
        (4, [1, 2, 3, 4]),  # three too many: one before, two after; torchvision: 2 3 4 5
        (3, [2, 3, 4]),
        (2, [2, 3]),  # five too many: two before, three after; torchvision too
        (1, [3]),
        (0, []),
    ],
)
def test_the_extra_column_is_cut_off_at_the_end(op, columns, expected):
    assert op(ROW, (1, columns))[0, 0].tolist() == [expected]
    y = op(ROW.reshape(1, 1, 7, 1), (columns, 1))
    assert y[0, 0, :, 0].tolist() == expected


@both
def test_rows_and_columns(op):
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    y = op(x, (1, 2))
    assert y.dtype == np.float32
    assert y.tolist() == [[[[5, 6]], [[17, 18]]]]


@both
def test_the_gradient_is_zero_around_the_crop(op):
    _, saved = op.forward(np.zeros((1, 1, 3, 4)), (1, 2))
    gx = op.backward(saved, np.array([[[[8.0, 9.0]]]]))[0]
    assert gx[0, 0].tolist() == [[0, 0, 0, 0], [0, 8, 9, 0], [0, 0, 0, 0]]


def test_the_matrix_picks():
    m = ns.center_crop.matrix((1, 1, 3, 4), (1, 2))
    assert m.toarray().tolist() == [[float(i == j) for i in range(12)] for j in (5, 6)]


def test_a_crop_equals_a_negative_padding():
    x = np.random.default_rng(0).normal(size=(2, 2, 6, 9))
    np.testing.assert_array_equal(ns.center_crop(x, (3, 4)), ns.pad(x, (-1, -2, -2, -3)))


@both
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (6, [0, 1, 2, 3, 4, 5]),  # 1/2 becomes 0
        (4, [2, 3, 4, 5]),  # 3/2 becomes 2
        (2, [2, 3]),  # 5/2 becomes 2
        (0, []),
    ],
)
def test_half_of_the_difference_rounded_to_even(op, columns, expected):
    assert op(ROW, (1, columns), rounding="half_even")[0, 0].tolist() == [expected]


@both
def test_a_crop_larger_than_the_image_is_padded(op):
    x = np.array([[[[1.0, 2.0, 3.0]]]])
    y = op(x, (2, 6), pad=True)  # one row below; three columns, one before
    assert y[0, 0].tolist() == [[0, 1, 2, 3, 0, 0], [0] * 6]
    assert op(x, (3, 2), pad=True)[0, 0].tolist() == [[0, 0], [1, 2], [0, 0]]
    _, saved = op.forward(x, (2, 2), pad=True)
    assert op.backward(saved, np.array([[[[5.0, 6.0], [7.0, 8.0]]]]))[0].tolist() == [[[[5, 6, 0]]]]
