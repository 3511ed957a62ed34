"""What kernels know of a call of pad."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    planes: int
    h: int
    w: int
    oh: int
    ow: int
    pt: int
    pl: int
    value: float
    mode: int
    """Its place in ``MODES``."""


MODES = ("constant", "reflect", "replicate", "circular", "symmetric")
