"""col2im on the CPU: im2col's kernels in the other direction."""

from __future__ import annotations

from numseg.ops.im2col import cpu
from numseg.ops.im2col.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, y: Array, g: Geometry) -> None:
    cpu.backward(x, y, g)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        cpu.forward(gy, gx, g)
