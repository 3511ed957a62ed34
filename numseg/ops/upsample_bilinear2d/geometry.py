"""What kernels know of a call of upsample_bilinear2d."""

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
    antialias: bool = False
    exclude_outside: bool = False

    @property
    def filter(self) -> Filter:
        """The one that antialiasing takes."""
        return Filter(1, 0.0, self.antialias, self.exclude_outside)
