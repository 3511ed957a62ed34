"""exp by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array) -> Array:
    return np.exp(x)


def slope(y: Array) -> Array:
    return y
