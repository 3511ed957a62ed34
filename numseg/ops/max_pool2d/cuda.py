"""max_pool2d on CUDA. A thread owns one output pixel, or, backward, one input pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.device import cuda
from numseg.kernels.cuda import launch
from numseg.ops.max_pool2d import Geometry
from numseg.ops.max_pool2d.rules import end_tap, first_tap, wins


@cuda.jit
def _forward(x, y, switches, g):
    unit = cuda.grid(1)
    if unit >= g.n * g.c * g.oh * g.ow:
        return
    rest, q = divmod(unit, g.ow)
    plane, p = divmod(rest, g.oh)
    top, left = p * g.sy - g.pt, q * g.sx - g.pl
    i0, i1 = first_tap(top, g.dy), end_tap(top, g.dy, g.kh, g.h)
    j0, j1 = first_tap(left, g.dx), end_tap(left, g.dx, g.kw, g.w)
    best, place = -np.inf, -1
    if i0 < i1 and j0 < j1:
        place = (top + i0 * g.dy) * g.w + left + j0 * g.dx
    for i in range(i0, i1):
        for j in range(j0, j1):
            here = (top + i * g.dy) * g.w + left + j * g.dx
            if wins(x[plane * g.h * g.w + here], best):
                best, place = x[plane * g.h * g.w + here], here
    y[unit] = best
    switches[unit] = place


@cuda.jit
def _backward(switches, gy, gx, g):
    """Gather: the windows over a pixel are visited in row-major order, as the CPU adds them."""
    unit = cuda.grid(1)
    if unit >= g.n * g.c * g.h * g.w:
        return
    plane, here = divmod(unit, g.h * g.w)
    iy, ix = divmod(here, g.w)
    total = gx.dtype.type(0)
    for i in range(g.kh - 1, -1, -1):
        p, off_y = divmod(iy + g.pt - i * g.dy, g.sy)
        if off_y != 0 or p < 0 or p >= g.oh:
            continue
        for j in range(g.kw - 1, -1, -1):
            q, off_x = divmod(ix + g.pl - j * g.dx, g.sx)
            if off_x == 0 and 0 <= q < g.ow:
                window = (plane * g.oh + p) * g.ow + q
                if switches[window] == here:
                    total += gy[window]
    gx[unit] = total


def forward(x: Any, y: Any, switches: Any, g: Geometry) -> None:
    launch(_forward, y.size, x.reshape(-1), y.reshape(-1), switches.reshape(-1), g)


def backward(switches: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, gx.size, switches.reshape(-1), gy.reshape(-1), gx.reshape(-1), g)
