"""gt by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array, other: Array) -> Array:
    return (x > other).astype(x.dtype)


def grad_x(x: Array, other: Array, gy: Array) -> Array:
    return np.zeros(gy.shape)


grad_other = grad_x
