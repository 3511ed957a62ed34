"""avg_pool2d on CUDA. A thread owns a pixel: of the output, or, backward, of the input, where it
gathers from the windows over it."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import (
    Reals,
    end_window,
    first_window,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.kernels.machine.jit import rule
from numseg.ops.avg_pool2d.geometry import Geometry
from numseg.ops.avg_pool2d.rules import count


@rule
def _divisor(p, q, g):
    """Of a window."""
    if g.divisor > 0:
        return g.divisor
    rows = int32(count(p * g.sy - g.pt, g.kh, g.h, g.pb, g.include_pad))
    columns = int32(count(q * g.sx - g.pl, g.kw, g.w, g.pr, g.include_pad))
    return int32(max(rows * columns, 1))


@kernel
def _forward(x: Reals, y: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    top, left = int32(p * g.sy - g.pt), int32(q * g.sx - g.pl)
    bottom, right = int32(min(top + g.kh, g.h)), int32(min(left + g.kw, g.w))
    top, left = int32(max(top, 0)), int32(max(left, 0))
    divisor = x.dtype.type(_divisor(p, q, g))
    while plane < g.n * g.c:
        total = x.dtype.type(0)
        row = top
        while row < bottom:
            column = left
            while column < right:
                total += x[(plane * g.h + row) * g.w + column]
                column = int32(column + 1)
            row = int32(row + 1)
        y[plane * g.oh * g.ow + pixel] = total / divisor
        plane = next_plane(plane)


@kernel
def _backward(gy: Reals, gx: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    p0, p1 = first_window(row + g.pt, g.kh, g.sy, 1), end_window(row + g.pt, g.sy, g.oh)
    q0, q1 = first_window(column + g.pl, g.kw, g.sx, 1), end_window(column + g.pl, g.sx, g.ow)
    while plane < g.n * g.c:
        total = gx.dtype.type(0)
        p = int32(p0)
        while p < p1:
            q = int32(q0)
            while q < q1:
                total += gy[(plane * g.oh + p) * g.ow + q] / gx.dtype.type(_divisor(p, q, g))
                q = int32(q + 1)
            p = int32(p + 1)
        gx[plane * g.h * g.w + pixel] = total
        plane = next_plane(plane)


def forward(x: Any, y: Any, g: Geometry) -> None:
    launch(_forward, g.n * g.c, g.oh * g.ow, x, y, g)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.n * g.c, g.h * g.w, gy, gx, g)
