"""The second derivative of softsign: of 1 / (1 + abs(x))**2."""

import numpy as np

from numseg.typing import Array


def curvature(x: Array) -> Array:
    return -2 * np.sign(x) / (1 + np.abs(x)) ** 3
