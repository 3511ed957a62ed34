"""softsign by its definition."""

import numpy as np

from numseg.typing import Array


def value(x: Array) -> Array:
    return x / (1 + np.abs(x))


def slope(x: Array) -> Array:
    return (1 / (1 + np.abs(x))) ** 2
