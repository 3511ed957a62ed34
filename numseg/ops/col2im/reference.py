"""col2im by its definition: im2col's transpose."""

from __future__ import annotations

from typing import Any

from numseg.ops.im2col import reference
from numseg.ops.im2col.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return reference.backward(x, g)


def backward(gy: Array, g: Geometry) -> Array:
    return reference.forward(gy, g)


def matrix(g: Geometry) -> Any:
    return reference.matrix(g).T
