"""add by its definition."""

from typing import Any

from numseg.broadcasting import Geometry, matrix_of_x
from numseg.typing import Array


def value(x: Array, other: Array) -> Array:
    return x + other


def matrix(other: Array, g: Geometry) -> Any:
    """Of x; other is an additive term."""
    return matrix_of_x(1.0, g)
