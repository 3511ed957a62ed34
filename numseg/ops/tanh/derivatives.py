"""The second derivative of tanh: -2 tanh(x) (1 - tanh(x)**2)."""

from numseg.ops.tanh import tanh
from numseg.typing import Array


def curvature(x: Array) -> Array:
    y = tanh(x)
    return -2 * y * (1 - y * y)
