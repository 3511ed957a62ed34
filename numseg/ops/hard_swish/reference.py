"""hard_swish by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.hard_swish import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return x * np.clip(x + 3, 0, 6) / 6


def backward(x: Array, gy: Array, g: Geometry) -> Array:
    return gy * np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, x / 3 + 0.5))
