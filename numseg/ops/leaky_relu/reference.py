"""leaky_relu by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array, negative_slope: float) -> Array:
    return np.where(x > 0, x, negative_slope * x)


def gradient(x: Array, gy: Array, negative_slope: float) -> Array:
    return np.where(x > 0, gy, negative_slope * gy)
