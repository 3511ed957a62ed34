"""What kernels know of a call of conv2d."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    f: int
    oh: int
    ow: int
    kh: int
    kw: int
    sy: int
    sx: int
    pt: int
    pl: int
    dy: int
    dx: int
    groups: int
    tile: int = 0
    """Outputs in a row of a Winograd tile; 0 without Winograd."""


TILES = {"direct": 0, "winograd2": 2, "winograd4": 4}
