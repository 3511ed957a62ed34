"""What kernels know of a call of separable_conv2d."""

from __future__ import annotations

from typing import NamedTuple

from numseg.geometry import derived
from numseg.ops.conv2d.geometry import Geometry as Convolution


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    multiplier: int
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

    @property
    def hidden(self) -> tuple[int, int, int, int]:
        """The shape between the two convolutions."""
        return self.n, self.c * self.multiplier, self.oh, self.ow

    @derived
    def depthwise(self) -> Convolution:
        n, channels, oh, ow = self.hidden
        return Convolution(n, self.c, self.h, self.w, channels, oh, ow, *self[8:], max(self.c, 1))

    @derived
    def pointwise(self) -> Convolution:
        return Convolution(*self.hidden, self.f, self.oh, self.ow, 1, 1, 1, 1, 0, 0, 1, 1, groups=1)
