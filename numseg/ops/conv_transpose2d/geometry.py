"""What kernels know of a call of conv_transpose2d."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.ops.conv2d.geometry import Geometry as Convolution
from numseg.typing import Array


class Geometry(NamedTuple):
    """That of the convolution transposed: our output is its x, our input its y."""

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
    average: bool

    @property
    def convolution(self) -> Convolution:
        return Convolution(*self[:-1])


def counts(g: Geometry) -> tuple[Array, Array]:
    """The stamps on each output row, and on each column; on a pixel lies their product."""

    def count(size: int, stamps: int, k: int, s: int, pad: int, d: int) -> Array:
        places = np.add.outer(s * np.arange(stamps), d * np.arange(k)).ravel() - pad
        return np.bincount(places[(places >= 0) & (places < size)], minlength=size)

    return (
        count(g.h, g.oh, g.kh, g.sy, g.pt, g.dy),
        count(g.w, g.ow, g.kw, g.sx, g.pl, g.dx),
    )
