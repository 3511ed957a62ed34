"""affine_grid: values by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.affine_grid, ns.affine_grid.reference])
IDENTITY = np.array([[[1.0, 0, 0], [0, 1, 0]]])


@both
def test_places_run_from_edge_to_edge(op):
    grid = op(IDENTITY, (1, 1, 2, 4))
    assert grid[0, 0, :, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert grid[0, :, 0, 1].tolist() == [-0.5, 0.5]
    assert (grid[0, :, :, 1] == grid[0, :, :1, 1]).all()


@both
def test_aligned_corners(op):
    grid = op(IDENTITY, (1, 1, 1, 5), align_corners=True)
    assert grid[0, 0].tolist() == [[-1, 0], [-0.5, 0], [0, 0], [0.5, 0], [1, 0]]


@both
def test_the_first_row_makes_columns(op):
    theta = np.array([[[2.0, 4, 1], [8, 16, 3]]])
    # at (x, y) = (-1/2, 1/2): 2 (-1/2) + 4/2 + 1, 8 (-1/2) + 16/2 + 3
    assert op(theta, (1, 1, 2, 2))[0, 1, 0].tolist() == [2, 7]


@both
def test_the_gradient(op):
    _, saved = op.forward(IDENTITY, (1, 1, 2, 4))
    grad = np.zeros((1, 2, 4, 2))
    grad[0, 1, 0] = 16, 4  # at (-3/4, 1/2)
    assert op.backward(saved, grad)[0][0].tolist() == [[-12, 8, 16], [-3, 2, 4]]


def test_a_shift_by_a_pixel():
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    theta = np.array([[[1.0, 0, 2 / 4], [0, 1, 0]]])  # a pixel is 2 / W
    y = ns.grid_sample(x, ns.affine_grid(theta, x.shape))
    np.testing.assert_allclose(y[0, 0, 1], [5, 6, 7, 0])
