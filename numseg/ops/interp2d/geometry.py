"""What kernels know of a call of interp2d."""

from __future__ import annotations

from typing import NamedTuple

from numseg.geometry import derived, line
from numseg.ops.pad.geometry import Geometry as Padding
from numseg.ops.upsample_bilinear2d.geometry import Geometry as Upsampling


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    top: int
    left: int
    eh: int
    """Rows that the crop leaves."""
    ew: int
    oh: int
    ow: int

    @derived
    def crop(self) -> Padding:
        return Padding(self.n * self.c, self.h, self.w, self.eh, self.ew, -self.top, -self.left,
                       value=0.0, mode=0)  # fmt: skip

    @derived
    def upsampling(self) -> Upsampling:
        rows = line(self.eh, self.oh, 0.0, "align_corners")
        columns = line(self.ew, self.ow, 0.0, "align_corners")
        return Upsampling(self.n, self.c, self.eh, self.ew, self.oh, self.ow, *rows, *columns)
