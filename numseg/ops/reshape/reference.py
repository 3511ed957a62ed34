"""reshape by its definition: numbers in C order, which is the same for both shapes."""

from __future__ import annotations

from typing import Any

from numseg.ops.reshape.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return x.reshape(g.shape)


def backward(gy: Array, g: Geometry) -> Array:
    return gy.reshape(-1)  # the shape of x is the gradient's


def matrix(g: Geometry) -> Any:
    from scipy import sparse

    return sparse.identity(g.size, format="csr")
