"""where by its definition."""

from __future__ import annotations

import numpy as np

from numseg.broadcasting import summed_to
from numseg.ops.where.geometry import Geometry
from numseg.typing import Array


def forward(condition: Array, x: Array, other: Array, g: Geometry) -> Array:
    return np.where(condition != 0, x, other)


def backward(condition: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    true = condition != 0
    return summed_to(g.x, np.where(true, gy, 0.0)), summed_to(g.other, np.where(true, 0.0, gy))
