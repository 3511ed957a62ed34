"""lp_pool2d on the CPU. A unit is a row of y; in backward, it is a plane."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.ops.lp_pool2d.geometry import Geometry
from numseg.ops.lp_pool2d.rules import inner_slope, outer_slope, power, root, span
from numseg.typing import Array


@rule
def _scale(rows, columns, g):
    return g.kh * g.kw / (rows * columns) if g.scaled else 1.0


@rule
def _total(image, r0, r1, c0, c1, g):
    total = 0.0
    for r in range(r0, r1):
        for c in range(c0, c1):
            total += power(np.float64(image[r, c]), g.p, g.absolute)
    return total


@kernel({"contract"})
def _forward(start, stop, x, y, g):
    for unit in range(start, stop):
        plane, p = divmod(unit, g.oh)
        r0, r1, rows = span(p, g.sy, g.kh, g.pt, g.h, g.pb)
        for q in range(g.ow):
            c0, c1, columns = span(q, g.sx, g.kw, g.pl, g.w, g.pr)
            total = _total(x[plane], r0, r1, c0, c1, g)
            y[plane, p, q] = root(_scale(rows, columns, g) * total, g.p)


@kernel({"contract"})
def _backward(start, stop, x, gy, gx, g):
    sums = np.empty((g.h, g.w))
    for plane in range(start, stop):
        image, out = x[plane], gx[plane]
        sums[:] = 0
        for p in range(g.oh):
            r0, r1, rows = span(p, g.sy, g.kh, g.pt, g.h, g.pb)
            for q in range(g.ow):
                c0, c1, columns = span(q, g.sx, g.kw, g.pl, g.w, g.pr)
                scale = _scale(rows, columns, g)
                slope = outer_slope(scale * _total(image, r0, r1, c0, c1, g), g.p) * scale
                share = gy[plane, p, q] * slope
                for r in range(r0, r1):
                    for c in range(c0, c1):
                        value = np.float64(image[r, c])
                        sums[r, c] += share * inner_slope(value, g.p, g.absolute)
        for r in range(g.h):
            for c in range(g.w):
                out[r, c] = sums[r, c]


def forward(x: Array, y: Array, g: Geometry) -> None:
    planes = g.n * g.c
    x, y = x.reshape(planes, g.h, g.w), y.reshape(planes, g.oh, g.ow)
    launch(_forward, planes * g.oh, y.size * g.kh * g.kw, x, y, g)


def backward(x: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        planes = g.n * g.c
        x, gx = (array.reshape(planes, g.h, g.w) for array in (x, gx))
        gy = gy.reshape(planes, g.oh, g.ow)
        launch(_backward, planes, 2 * gy.size * g.kh * g.kw, x, gy, gx, g)
