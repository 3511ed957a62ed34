"""bilateral_features and the widths of its kernel, by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.bilateral_features, ns.bilateral_features.reference])

# two rows, three columns, two channels
IMAGE = np.array([[[[10, 20, 30], [40, 50, 60]], [[1, 2, 3], [4, 5, 6]]]], np.float32)
WIDTH = np.array([2, 4, 10, 0.5], np.float32)


@both
def test_column_row_and_colours_each_by_its_width(op):
    y = op(IMAGE, WIDTH)
    assert y.dtype == np.float32
    assert y.tolist() == [[
        [[0, 0.5, 1], [0, 0.5, 1]],
        [[0, 0, 0], [0.25, 0.25, 0.25]],
        [[1, 2, 3], [4, 5, 6]],
        [[2, 4, 6], [8, 10, 12]],
    ]]  # fmt: skip


@both
def test_gradients(op):
    y, saved = op.forward(IMAGE, WIDTH)
    gx, gw = op.backward(saved, np.ones_like(y))
    np.testing.assert_array_equal(gx, np.float32([[[[0.1] * 3] * 2, [[2.0] * 3] * 2]]))
    # columns add up to 2 * (0 + 1 + 2), rows to 3 * 1, colours to 210 and 21
    np.testing.assert_array_equal(gw, np.float32([-6 / 4, -3 / 16, -210 / 100, -21 / 0.25]))


@both
def test_each_image_has_its_colours_and_all_have_the_positions(op):
    y = op(np.concatenate([IMAGE, 2 * IMAGE]), WIDTH)
    np.testing.assert_array_equal(y[1, :2], y[0, :2])
    np.testing.assert_array_equal(y[1, 2:], 2 * y[0, 2:])


def test_the_curvature_along_a_width():
    """y = v / w: the second derivative is 2 v / w**3."""
    x, width = np.full((1, 1, 1, 1), 3.0), np.array([1.0, 1.0, 2.0])
    _, saved = ns.bilateral_features.forward(x, width)
    grad_y = np.zeros((1, 3, 1, 1))
    grad_y[0, 2] = 1
    along = {"width": np.array([0.0, 0.0, 1.0])}
    gx, gw, _ = ns.bilateral_features.double_backward(saved, grad_y, along)
    assert gw.tolist() == [0, 0, 2 * 3 / 8]
    assert gx.tolist() == [[[[-1 / 4]]]]
