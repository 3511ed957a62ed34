"""minimum by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array, other: Array) -> Array:
    return np.where((x <= other) | np.isnan(x), x, other)


def grad_x(x: Array, other: Array, gy: Array) -> Array:
    return np.where(x > other, 0.0, np.where(x == other, gy / 2, gy))


def grad_other(x: Array, other: Array, gy: Array) -> Array:
    return np.where(x < other, 0.0, np.where(x == other, gy / 2, gy))
