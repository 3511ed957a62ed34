"""max_pool2d on CUDA. A thread owns one output pixel, or, backward, one input pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.kernels.cuda import (
    Longs,
    Reals,
    end_window,
    first_window,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.ops.max_pool2d import Geometry
from numseg.ops.max_pool2d.rules import wins


@kernel
def _forward(x: Reals, y: Reals, switches: Longs, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    top, left = int32(p * g.sy - g.pt), int32(q * g.sx - g.pl)
    bottom, right = int32(min(top + g.kh * g.dy, g.h)), int32(min(left + g.kw * g.dx, g.w))
    while top < 0:
        top = int32(top + g.dy)
    while left < 0:
        left = int32(left + g.dx)
    while plane < g.n * g.c:
        best, place = x.dtype.type(-np.inf), -1
        if top < bottom and left < right:
            place = top * g.w + left
        row = top
        while row < bottom:
            column = left
            while column < right:
                here = row * g.w + column
                value = x[plane * g.h * g.w + here]
                if wins(value, best):
                    best, place = value, here
                column = int32(column + g.dx)
            row = int32(row + g.dy)
        y[plane * g.oh * g.ow + pixel] = best
        switches[plane * g.oh * g.ow + pixel] = place
        plane = next_plane(plane)


@kernel
def _backward(switches: Longs, gy: Reals, gx: Reals, g: Geometry) -> None:
    """Gather: the windows over a pixel are visited in row-major order, as the CPU adds them."""
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    p0, p1 = first_window(row + g.pt, g.kh, g.sy, g.dy), end_window(row + g.pt, g.sy, g.oh)
    q0, q1 = first_window(column + g.pl, g.kw, g.sx, g.dx), end_window(column + g.pl, g.sx, g.ow)
    while plane < g.n * g.c:
        total = gx.dtype.type(0)
        p = p0
        while p < p1:
            q = q0
            while q < q1:
                window = (plane * g.oh + p) * g.ow + q
                if switches[window] == pixel:
                    total += gy[window]
                q = int32(q + 1)
            p = int32(p + 1)
        gx[plane * g.h * g.w + pixel] = total
        plane = next_plane(plane)


def forward(x: Any, y: Any, switches: Any, g: Geometry) -> None:
    launch(_forward, g.n * g.c, g.oh * g.ow, x, y, switches, g)


def backward(switches: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.n * g.c, g.h * g.w, switches, gy, gx, g)
