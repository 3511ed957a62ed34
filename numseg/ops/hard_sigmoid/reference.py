"""hard_sigmoid by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array, alpha: float, beta: float) -> Array:
    return np.clip(alpha * x + beta, 0, 1)


def gradient(x: Array, gy: Array, alpha: float, beta: float) -> Array:
    t = alpha * x + beta
    return np.where((t > 0) & (t < 1), alpha * gy, 0.0)
