"""col2im on CUDA: im2col's kernels in the other direction."""

from __future__ import annotations

from typing import Any

from numseg.ops.im2col import cuda
from numseg.ops.im2col.geometry import Geometry


def forward(x: Any, y: Any, g: Geometry) -> None:
    cuda.backward(x, y, g)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        cuda.forward(gy, gx, g)
