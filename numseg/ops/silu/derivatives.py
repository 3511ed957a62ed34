"""The second derivative of silu: with s = sigmoid(x), of s + x s (1 - s)."""

from numseg.ops.sigmoid import sigmoid
from numseg.typing import Array


def curvature(x: Array) -> Array:
    s = sigmoid(x)
    return s * (1 - s) * (2 + x * (1 - 2 * s))
