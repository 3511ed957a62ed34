"""What kernels know of a call of bed_of_nails2d."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    sy: int
    sx: int
