"""The second derivative of sigmoid."""

from numseg.typing import Array


def curvature(y: Array) -> Array:
    return y * (1 - y) * (1 - 2 * y)
