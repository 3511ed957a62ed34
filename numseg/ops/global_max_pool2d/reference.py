"""global_max_pool2d by its definition."""

from __future__ import annotations

from numseg.ops.adaptive_avg_pool2d.geometry import Geometry
from numseg.ops.adaptive_max_pool2d.reference import backward, largest, matrix
from numseg.typing import Array

__all__ = ["backward", "forward", "matrix"]


def forward(x: Array, g: Geometry) -> tuple[Array, Array]:
    return largest(x, slice(None), slice(None))
