"""What kernels know of a call of lp_pool2d."""

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
    p: float
    absolute: bool
    scaled: bool
    """A window that reaches beyond the padding counts for a whole one."""
