"""multiply by its definition."""

from typing import Any

from numseg.broadcasting import Geometry, matrix_of_x
from numseg.typing import Array


def value(x: Array, other: Array) -> Array:
    return x * other


def grad_x(x: Array, other: Array, gy: Array) -> Array:
    return gy * other


def grad_other(x: Array, other: Array, gy: Array) -> Array:
    return gy * x


def matrix(other: Array, g: Geometry) -> Any:
    return matrix_of_x(other, g)
