"""prelu by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array, weight: Array) -> Array:
    return np.where(x > 0, x, weight * x)


def grad_x(x: Array, weight: Array, gy: Array) -> Array:
    return np.where(x > 0, gy, weight * gy)


def grad_other(x: Array, weight: Array, gy: Array) -> Array:
    return np.where(x > 0, 0.0, x * gy)
