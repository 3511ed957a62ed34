"""What kernels know of a call of adaptive_avg_pool2d."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
