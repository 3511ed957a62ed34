"""What kernels know of a call of avg_pool2d."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    kh: int
    kw: int
    sy: int
    sx: int
    pt: int
    pb: int
    pl: int
    pr: int
    include_pad: bool
    divisor: int
    """What every sum is divided by; 0 where it is the number of pixels."""
