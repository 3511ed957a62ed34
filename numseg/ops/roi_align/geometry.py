"""What kernels know of a call of roi_align."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int
    scale: float
    ratio: int
    aligned: bool
    single: bool
    maximum: bool
    corners: bool
    clamp: bool
