"""mish by its definition."""

import numpy as np

from numseg.ops.sigmoid.reference import value as sigmoid
from numseg.ops.softplus.reference import value as softplus
from numseg.typing import Array


def value(x: Array) -> Array:
    return x * np.tanh(softplus(x, 1.0, np.inf))


def slope(x: Array) -> Array:
    soft = softplus(x, 1.0, np.inf)
    return np.tanh(soft) + x * sigmoid(x) / np.cosh(soft) ** 2
