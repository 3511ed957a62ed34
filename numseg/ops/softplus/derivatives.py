"""The second derivative of softplus: that of each piece."""

import numpy as np

from numseg.ops.sigmoid import sigmoid
from numseg.typing import Array


def curvature(x: Array, beta: float, threshold: float) -> Array:
    s = sigmoid(beta * x)
    return np.where(beta * x > threshold, 0, beta * s * (1 - s))
