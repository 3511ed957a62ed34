"""max_pool2d on the CPU. Forward: a unit is an output row. Backward: a unit is a plane."""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.max_pool2d import Geometry
from numseg.ops.max_pool2d.rules import end_tap, first_tap, wins
from numseg.typing import Array


@kernel()
def _forward(start, stop, x, y, switches, g):
    for unit in range(start, stop):
        plane, p = divmod(unit, g.oh)
        top = p * g.sy - g.pt
        i0, i1 = first_tap(top, g.dy), end_tap(top, g.dy, g.kh, g.h)
        for q in range(g.ow):
            left = q * g.sx - g.pl
            j0, j1 = first_tap(left, g.dx), end_tap(left, g.dx, g.kw, g.w)
            best, place = -np.inf, -1
            if i0 < i1 and j0 < j1:
                place = (top + i0 * g.dy) * g.w + left + j0 * g.dx
            for i in range(i0, i1):
                for j in range(j0, j1):
                    here = (top + i * g.dy) * g.w + left + j * g.dx
                    if wins(x[plane, here], best):
                        best, place = x[plane, here], here
            y[plane, p, q] = best
            switches[plane, p, q] = place


@kernel()
def _backward(start, stop, switches, gy, gx):
    for plane in range(start, stop):
        gx[plane] = 0
        for i in range(gy.shape[1]):
            if switches[plane, i] >= 0:
                gx[plane, switches[plane, i]] += gy[plane, i]


def forward(x: Array, y: Array, switches: Array, g: Geometry) -> None:
    planes, out = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh, g.ow)
    work = y.size * g.kh * g.kw
    launch(_forward, g.n * g.c * g.oh, work, x.reshape(planes), y.reshape(out),
           switches.reshape(out), g)  # fmt: skip


def backward(switches: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    planes, out = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    launch(_backward, g.n * g.c, gx.size, switches.reshape(out), gy.reshape(out),
           gx.reshape(planes))  # fmt: skip
