"""interp2d: sizes and values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

ROW = np.array([[[[0.0, 4.0, 6.0, 7.0]]]])

both = pytest.mark.parametrize("op", [ns.interp2d, ns.interp2d.reference])


@pytest.mark.parametrize(
    ("size", "params", "expected"),
    [
        (13, {"zoom_factor": 2}, 25),  # 13 + 12
        (41, {"zoom_factor": 8}, 321),
        (321, {"shrink_factor": 8}, 41),
        (320, {"shrink_factor": 8}, 40),  # (320 - 1) // 8 + 1
        (321, {"shrink_factor": 8, "zoom_factor": 2}, 81),
        (1, {"zoom_factor": 5}, 1),
        (14, {"zoom_factor": 2, "pad_end": -1}, 25),
        (5, {"size": 9}, 9),
    ],
)
def test_sizes(size, params, expected):
    assert ns.interp2d.output_shape((1, 1, size, size), **params) == (1, 1, expected, expected)


@both
def test_a_zoom_puts_rows_and_columns_between(op):
    y = op(ROW, zoom_factor=2)
    assert y[0, 0].tolist() == [[0, 2, 4, 5, 6, 6.5, 7]]
    x = np.array([[[[0.0, 2.0], [4.0, 10.0]]]])
    assert op(x, zoom_factor=2)[0, 0].tolist() == [[0, 1, 2], [2, 4, 6], [4, 7, 10]]


@both
def test_a_shrink_keeps_the_corners(op):
    assert op(ROW, shrink_factor=3)[0, 0].tolist() == [[0, 7]]
    assert op(ROW, shrink_factor=2)[0, 0].tolist() == [[0, 7]]  # (4 - 1) // 2 + 1
    assert op(ROW, shrink_factor=3, zoom_factor=2)[0, 0].tolist() == [[0, 5, 7]]
    assert op(ROW, size=1)[0, 0].tolist() == [[0]]


@both
def test_pads_are_crops(op):
    x = np.pad(ROW, [(0, 0), (0, 0), (1, 2), (1, 2)], constant_values=9.0)
    assert op(x, zoom_factor=2, pad_beg=-1, pad_end=-2)[0, 0].tolist() == [[0, 2, 4, 5, 6, 6.5, 7]]
    _, saved = op.forward(x, zoom_factor=1, pad_beg=-1, pad_end=-2)
    gx = op.backward(saved, np.array([[[[1.0, 2.0, 3.0, 4.0]]]]))[0]
    assert gx[0, 0].tolist() == [[0] * 7, [0, 1, 2, 3, 4, 0, 0], [0] * 7, [0] * 7]


def test_the_matrix_is_of_the_whole_image():
    m = ns.interp2d.matrix((1, 1, 2, 4), zoom_factor=2, pad_end=-1)
    assert m.shape == (5, 8)
    assert m.toarray()[1].tolist() == [0.5, 0.5, 0, 0, 0, 0, 0, 0]


def test_reach():
    rows, _ = ns.interp2d.plan((1, 1, 9, 9), zoom_factor=2, pad_beg=-3).reach
    assert (rows.stride, rows.first, rows.last) == (1 / 2, 3 - 1 / 2, 3 + 1 / 2)
