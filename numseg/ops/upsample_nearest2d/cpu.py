"""upsample_nearest2d on the CPU. A unit is a row of the output, and backward of the input."""

from __future__ import annotations

import numpy as np

from numseg.kernels.copy import copy
from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.upsample_nearest2d import Geometry
from numseg.ops.upsample_nearest2d.rules import source
from numseg.typing import Array


@kernel()
def _fill(start, stop, sources, size, line, factor, rounding):
    for o in range(start, stop):
        sources[o] = source(o, line, factor, rounding, size)


@kernel()
def _forward(start, stop, x, y, rows, columns):
    oh = y.shape[1]
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        out = y[plane, p]
        if unit > start and p > 0 and rows[p] == rows[p - 1]:
            copy(y[plane, p - 1], out)
            continue
        row = x[plane, rows[p]]
        for q in range(len(out)):
            out[q] = row[columns[q]]


@kernel()
def _backward(start, stop, gy, gx, rows, columns):
    h = gx.shape[1]
    row = np.empty(gy.shape[2], gy.dtype)
    p = q = 0
    for unit in range(start, stop):
        plane, r = divmod(unit, h)
        row[:] = 0
        first, end = np.searchsorted(rows, r), np.searchsorted(rows, r + 1)
        for p in range(first, end):
            grads = gy[plane, p]
            for q in range(len(row)):
                row[q] += grads[q]
        out = gx[plane, r]
        out[:] = 0
        for q in range(len(row)):
            out[columns[q]] += row[q]


def forward(x: Array, y: Array, g: Geometry) -> None:
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    launch(_forward, g.n * g.c * g.oh, y.size, x.reshape(image), y.reshape(out), *_sources(g))


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    launch(_backward, g.n * g.c * g.h, gx.size + gy.size, gy.reshape(out), gx.reshape(image),
           *_sources(g))  # fmt: skip


def _sources(g: Geometry) -> tuple[Array, Array]:
    """Which row each output row copies, and which column each output column."""
    rows, columns = np.empty(g.oh, np.int64), np.empty(g.ow, np.int64)
    launch(_fill, g.oh, g.oh, rows, g.h, g.rows, g.fy, g.rounding)
    launch(_fill, g.ow, g.ow, columns, g.w, g.columns, g.fx, g.rounding)
    return rows, columns
