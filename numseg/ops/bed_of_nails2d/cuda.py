"""bed_of_nails2d on CUDA. A thread owns a pixel: of the output, or, backward, of the input."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Reals, kernel, launch, next_plane, quotient, thread
from numseg.ops.bed_of_nails2d.geometry import Geometry


@kernel
def _forward(x: Reals, y: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    size = g.h * g.sy * g.w * g.sx
    if pixel >= size:
        return
    row = quotient(pixel, g.w * g.sx)
    column = int32(pixel - row * g.w * g.sx)
    p, q = quotient(row, g.sy), quotient(column, g.sx)
    nail = p * g.sy == row and q * g.sx == column
    while plane < g.n * g.c:
        value = y.dtype.type(0)
        if nail:
            value = x[plane * g.h * g.w + p * g.w + q]
        y[plane * size + pixel] = value
        plane = next_plane(plane)


@kernel
def _backward(gy: Reals, gx: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    p = quotient(pixel, g.w)
    nail = int32(p * g.sy * g.w * g.sx + (pixel - p * g.w) * g.sx)
    while plane < g.n * g.c:
        gx[plane * g.h * g.w + pixel] = gy[plane * g.h * g.sy * g.w * g.sx + nail]
        plane = next_plane(plane)


def forward(x: Any, y: Any, g: Geometry) -> None:
    launch(_forward, g.n * g.c, g.h * g.sy * g.w * g.sx, x, y, g)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.n * g.c, g.h * g.w, gy, gx, g)
