"""spatial_features by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.bilateral_features.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, width: Array, g: Geometry) -> Array:
    return _positions(g) / width[:, None, None]


def backward(width: Array, gy: Array, g: Geometry) -> Array:
    return -(gy[0] * _positions(g)).sum((1, 2)) / width**2


def _positions(g: Geometry) -> Array:
    """Column and row, (2, H, W)."""
    rows, columns = np.indices((g.h, g.w), float)
    return np.stack([columns, rows])
