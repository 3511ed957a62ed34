"""What kernels know of a call of upsample_bicubic2d."""

from __future__ import annotations

from typing import NamedTuple

from numseg.geometry import Filter


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    rows: tuple[int, int, int, int]
    """Where output rows lie (``Line``)."""
    fy: float
    """If it is not 0, the step between rows is its inverse."""
    columns: tuple[int, int, int, int]
    fx: float
    a: float
    antialias: bool
    exclude_outside: bool

    @property
    def filter(self) -> Filter:
        return Filter(2, self.a, self.antialias, self.exclude_outside)
