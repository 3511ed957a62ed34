"""pixel_unshuffle2d on the CPU: the kernels of pixel_shuffle2d, the other way round."""

from __future__ import annotations

from numseg.ops.pixel_shuffle2d import cpu as shuffle
from numseg.ops.pixel_shuffle2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, y: Array, g: Geometry) -> None:
    shuffle.backward(x, y, g)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        shuffle.forward(gy, gx, g)
