"""What kernels know of a call of affine_grid."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    h: int
    w: int
    align: bool
