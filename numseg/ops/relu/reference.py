"""relu by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.relu import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return np.maximum(x, 0.0) + 0.0  # -0.0 + 0.0 is +0.0


def backward(x: Array, gy: Array, g: Geometry) -> Array:
    return np.where(x <= 0, 0.0, gy)
