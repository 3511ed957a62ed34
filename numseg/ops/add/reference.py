"""add by its definition."""

from __future__ import annotations

from typing import Any

from numseg.ops.add import Geometry
from numseg.typing import Array


def forward(x: Array, y: Array, g: Geometry) -> Array:
    return x + y


def backward(gz: Array, g: Geometry) -> tuple[Array, Array]:
    return gz, gz.copy()  # the caller may write to one of them


def matrix(other: Array, g: Geometry) -> Any:
    """Of x; other is an additive term."""
    from scipy import sparse

    return sparse.eye_array(g.size, format="csr")
