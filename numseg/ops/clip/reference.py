"""clip by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array, low: float, high: float, inside: float) -> Array:
    y = np.where(x < low, low, x)
    return np.where(y > high, high, y)


def gradient(x: Array, gy: Array, low: float, high: float, inside: float) -> Array:
    kept = (low <= x) & (x <= high) if inside else (low < x) & (x < high)
    return np.where(kept, gy, 0.0)
