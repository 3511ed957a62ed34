"""spatial_features by hand."""

from __future__ import annotations

import numpy as np
import pytest

import numseg as ns

both = pytest.mark.parametrize("op", [ns.spatial_features, ns.spatial_features.reference])

WIDTH = np.array([2, 4], np.float32)


@both
def test_columns_then_rows_whatever_the_image(op):
    expected = [[[[0, 0.5, 1], [0, 0.5, 1]], [[0, 0, 0], [0.25, 0.25, 0.25]]]]
    for shape in ((1, 3, 2, 3), (5, 1, 2, 3), (0, 0, 2, 3)):
        y = op(np.full(shape, np.nan, np.float32), WIDTH)
        assert y.dtype == np.float32
        assert y.tolist() == expected


@both
def test_gradient_of_the_widths(op):
    y, saved = op.forward(np.zeros((2, 1, 2, 3), np.float32), WIDTH)
    (gw,) = op.backward(saved, np.ones_like(y))
    assert gw.tolist() == [-6 / 4, -3 / 16]  # minus the positions' sums over width**2
