"""pixel_unshuffle2d on CUDA: the kernels of pixel_shuffle2d, the other way round."""

from __future__ import annotations

from typing import Any

from numseg.ops.pixel_shuffle2d import cuda as shuffle
from numseg.ops.pixel_shuffle2d.geometry import Geometry


def forward(x: Any, y: Any, g: Geometry) -> None:
    shuffle.backward(x, y, g)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        shuffle.forward(gy, gx, g)
