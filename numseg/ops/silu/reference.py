"""silu by its definition."""

from numseg.ops.sigmoid.reference import value as sigmoid
from numseg.typing import Array


def value(x: Array) -> Array:
    return x * sigmoid(x)


def slope(x: Array) -> Array:
    return sigmoid(x) * (1 + x * sigmoid(-x))
