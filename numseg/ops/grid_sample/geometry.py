"""What kernels know of a call of grid_sample."""

from __future__ import annotations

from typing import NamedTuple

MODES = "bilinear", "nearest", "bicubic"
PADDINGS = "zeros", "border", "reflection"


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    mode: int
    """Which of MODES."""
    padding: int
    """Which of PADDINGS."""
    align: bool
