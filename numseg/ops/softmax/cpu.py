"""softmax on the CPU.

A unit is a block of neighbouring columns, so that loops over a row of the block are vectorised. A
single column (softmax along the last axis) is a unit with loops along the column instead.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.softmax import (
    BLOCK,
    WIDE,
    exponentiate,
    load_scores,
    row_statistics,
    sum_columns,
)
from numseg.kernels.reductions.sums import row_product
from numseg.ops.softmax.geometry import Geometry
from numseg.typing import Array


@kernel({"contract"})
def _forward(start, stop, x, y, g):
    blocks = (g.size + BLOCK - 1) // BLOCK
    exps = np.empty((g.c, BLOCK), x.dtype)
    largest, total = np.empty(BLOCK, x.dtype), np.empty(BLOCK)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        load_scores(x, n, first, end, exps, largest)
        exponentiate(exps, largest, x, n, first, end)
        sum_columns(exps, end - first, total)
        scale = largest  # 1 / total, once more in the dtype of x: products are faster
        for i in range(end - first):
            scale[i] = 1 / total[i]
        for c in range(g.c):
            row, out = exps[c], y[n, c, first:end]
            for i in range(len(out)):
                out[i] = row[i] * scale[i]


@kernel({"contract"})
def _backward(start, stop, y, gy, gx, g):
    blocks = (g.size + WIDE - 1) // WIDE
    total = np.empty(WIDE)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * WIDE, min(block * WIDE + WIDE, g.size)
        total[:] = 0
        for c in range(g.c):
            p, grad = y[n, c, first:end], gy[n, c, first:end]
            for i in range(len(p)):
                total[i] += grad[i] * p[i]
        for c in range(g.c):
            p, grad, out = y[n, c, first:end], gy[n, c, first:end], gx[n, c, first:end]
            for i in range(len(p)):
                out[i] = p[i] * (grad[i] - total[i])


@kernel({"contract"})
def _forward_last_axis(start, stop, x, y):
    for n in range(start, stop):
        out = y[n]
        _, total = row_statistics(x[n], out)
        scale = x.dtype.type(1 / total)
        for i in range(len(out)):
            out[i] *= scale


@kernel({"contract"})
def _backward_last_axis(start, stop, y, gy, gx):
    for n in range(start, stop):
        p, grad, out = y[n], gy[n], gx[n]
        total = row_product(p, 0.0, grad)
        for i in range(len(p)):
            out[i] = p[i] * (grad[i] - total)


def forward(x: Array, y: Array, g: Geometry) -> None:
    if g.size == 1:
        rows = (g.n, g.c)
        launch(_forward_last_axis, g.n, x.size, x.reshape(rows), y.reshape(rows))
    else:
        planes = (g.n, g.c, g.size)
        launch(_forward, _units(g, BLOCK), x.size, x.reshape(planes), y.reshape(planes), g)


def backward(y: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    if g.size == 1:
        rows = (g.n, g.c)
        launch(_backward_last_axis, g.n, y.size, y.reshape(rows), gy.reshape(rows),
               gx.reshape(rows))  # fmt: skip
    else:
        planes = (g.n, g.c, g.size)
        launch(_backward, _units(g, WIDE), y.size, y.reshape(planes), gy.reshape(planes),
               gx.reshape(planes), g)  # fmt: skip


def _units(g: Geometry, block: int) -> int:
    return g.n * ((g.size + block - 1) // block)
