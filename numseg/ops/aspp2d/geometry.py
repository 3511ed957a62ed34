"""What kernels know of a call of aspp2d."""

from __future__ import annotations

from typing import NamedTuple

from numseg.geometry import derived, same_padding
from numseg.ops.conv2d.geometry import Geometry as Convolution


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    filters: tuple[int, ...]
    """Of each branch, and last of the image-level one, if there is one."""
    kh: tuple[int, ...]
    """Of each branch but the image-level one."""
    kw: tuple[int, ...]
    rates: tuple[int, ...]
    add: bool
    """Branches are added up, not stacked."""

    @derived
    def branches(self) -> list[Convolution]:
        """Each atrous convolution: it keeps the size of the image."""
        return [
            self._convolution(self.h, self.w, *branch)
            for branch in zip(self.filters, self.kh, self.kw, self.rates, strict=False)
        ]

    @derived
    def pooled(self) -> Convolution:
        """The convolution of the image's mean."""
        return self._convolution(1, 1, self.filters[-1], 1, 1, 1)

    def _convolution(self, h: int, w: int, f: int, kh: int, kw: int, rate: int) -> Convolution:
        top, left = (same_padding(i, k, 1, rate)[0] for i, k in ((h, kh), (w, kw)))
        return Convolution(
            self.n, self.c, h, w, f, h, w, kh, kw, 1, 1, top, left, rate, rate, groups=1
        )
