"""The second derivative of sqrt: of 1 / (2 y)."""

from numseg.typing import Array


def curvature(y: Array) -> Array:
    return -0.25 / y**3
