"""floor by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array) -> Array:
    return np.floor(x)


def gradient(x: Array, gy: Array) -> Array:
    return np.zeros(x.shape)
