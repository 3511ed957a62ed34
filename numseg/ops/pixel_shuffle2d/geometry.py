"""What kernels know of a pixel shuffle."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    """Of ``c`` channels of ``h * r`` by ``w * r`` pixels, and ``c * r * r`` of ``h`` by ``w``."""

    n: int
    c: int
    h: int
    w: int
    r: int
    channel: int
    """From a large channel to the next, in small channels."""
    row: int
    """From a row of a cell to the next."""
    column: int
    """From a column of a cell to the next."""
