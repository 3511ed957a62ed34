"""bilateral_features by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.bilateral_features.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, width: Array, g: Geometry) -> Array:
    return values(x, g) / width[:, None, None]


def backward(x: Array, width: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    gx = gy[:, 2:] / width[2:, None, None]
    return gx, -(gy * values(x, g)).sum((0, 2, 3)) / width**2


def values(x: Array, g: Geometry) -> Array:
    """Column, row and colours, (N, 2 + C, H, W)."""
    rows, columns = np.indices((g.h, g.w), float)
    positions = np.broadcast_to(np.stack([columns, rows]), (g.n, 2, g.h, g.w))
    return np.concatenate([positions, x], 1)
