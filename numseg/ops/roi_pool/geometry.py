"""What kernels know of a call of roi_pool."""

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
    exact: bool
    single: bool
    whole: bool
    even: bool
