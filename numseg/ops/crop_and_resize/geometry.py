"""What kernels know of a call of crop_and_resize."""

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
    outside: float
    nearest: bool
    right: bool
    single: bool
