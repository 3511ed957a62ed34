"""im2col on CUDA. A thread owns a number of the result, or, backward, a pixel of the image, which
adds up its copies in the order of the taps."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Reals, kernel, launch, next_plane, quotient, thread
from numseg.ops.im2col.geometry import Geometry


@kernel
def _forward(x: Reals, y: Reals, g: Geometry) -> None:
    """A plane is a row of the result: a tap of a channel."""
    pixel, line = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    top, left = int32(p * g.sy - g.pt), int32((pixel - p * g.ow) * g.sx - g.pl)
    while line < g.n * g.c * g.kh * g.kw:
        taps = quotient(line, g.kw)
        plane = quotient(taps, g.kh)
        row = int32(top + (taps - plane * g.kh) * g.dy)
        column = int32(left + (line - taps * g.kw) * g.dx)
        value = y.dtype.type(0)
        if 0 <= row < g.h and 0 <= column < g.w:
            value = x[(plane * g.h + row) * g.w + column]
        y[line * g.oh * g.ow + pixel] = value
        line = next_plane(line)


@kernel
def _backward(gy: Reals, gx: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    while plane < g.n * g.c:
        total = gx.dtype.type(0)
        i, down = int32(0), int32(row + g.pt)
        while i < g.kh and down >= 0:
            p = quotient(down, g.sy)
            j, right = int32(0), int32(column + g.pl)
            while j < g.kw and right >= 0 and p < g.oh and p * g.sy == down:
                q = quotient(right, g.sx)
                if q < g.ow and q * g.sx == right:
                    tap = (plane * g.kh + i) * g.kw + j
                    total += gy[(tap * g.oh + p) * g.ow + q]
                j, right = int32(j + 1), int32(right - g.dx)
            i, down = int32(i + 1), int32(down - g.dy)
        gx[plane * g.h * g.w + pixel] = total
        plane = next_plane(plane)


def forward(x: Any, y: Any, g: Geometry) -> None:
    launch(_forward, g.n * g.c * g.kh * g.kw, g.oh * g.ow, x, y, g)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.n * g.c, g.h * g.w, gy, gx, g)
