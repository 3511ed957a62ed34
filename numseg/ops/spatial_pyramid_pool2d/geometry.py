"""What kernels know of a call of spatial_pyramid_pool2d."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.geometry import BinRule, adaptive_bins, caffe_bins


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    levels: tuple[int, ...]
    maximum: bool
    caffe: bool

    def rule(self) -> BinRule:
        """Which pixels the bins of a level have."""
        return caffe_bins if self.caffe else adaptive_bins

    def offsets(self) -> list[int]:
        """Where each level begins in a row of the result, and where the last one ends."""
        ends = np.cumsum([0, *(self.c * n * n for n in self.levels)])
        return [int(end) for end in ends]
