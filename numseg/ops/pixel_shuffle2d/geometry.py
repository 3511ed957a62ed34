"""What kernels know of a pixel shuffle, and of its inverse."""

from __future__ import annotations

from typing import NamedTuple

MODES = ("CRD", "DCR")
"""ONNX's names. The small image's channels count, from the slowest to the fastest, the large one's
channel and the place within a cell, or the place and the channel."""


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


def cells(n: int, c: int, h: int, w: int, r: int, mode: str) -> Geometry:
    """The order of channels that ``mode`` says."""
    return Geometry(n, c, h, w, r, *((r * r, r, 1) if mode == "CRD" else (1, r * c, c)))
