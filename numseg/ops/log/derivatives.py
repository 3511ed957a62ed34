"""The second derivative of log."""

from numseg.typing import Array


def curvature(x: Array) -> Array:
    return -1 / (x * x)
