"""tanh by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array) -> Array:
    return np.tanh(x)


def slope(x: Array) -> Array:
    e = np.exp(-2 * np.abs(x))  # 1 - tanh(x)**2, without cancellation
    return 4 * e / (1 + e) ** 2
