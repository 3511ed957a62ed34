"""hard_sigmoid by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.hard_sigmoid import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return np.clip(g.alpha * x + g.beta, 0, 1)


def backward(x: Array, gy: Array, g: Geometry) -> Array:
    t = g.alpha * x + g.beta
    return np.where((t > 0) & (t < 1), g.alpha * gy, 0.0)
