"""softplus by its definition."""

import numpy as np

from numseg.ops.sigmoid.reference import value as sigmoid
from numseg.typing import Array


def value(x: Array, beta: float, threshold: float) -> Array:
    z = beta * x
    soft = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))  # log(1 + exp(z)): no overflow
    return np.where(z > threshold, x, soft / beta)


def slope(x: Array, beta: float, threshold: float) -> Array:
    return np.where(beta * x > threshold, 1.0, sigmoid(beta * x))
