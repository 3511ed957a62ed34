"""log_softmax on the CPU.

A unit is a block of neighbouring columns, as in softmax; a single column (along the last axis) is a
unit with loops along the column instead.
"""

from __future__ import annotations

import math

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.elementary import decay, log_of_normal
from numseg.kernels.reductions.softmax import BLOCK, load_scores, prefetch_next, row_statistics
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.log_softmax.geometry import Geometry
from numseg.typing import Array


@kernel({"contract"})
def _forward(start, stop, x, y, g):
    blocks = (g.size + BLOCK - 1) // BLOCK
    scores, exps = np.empty((g.c, BLOCK), x.dtype), np.empty(BLOCK, x.dtype)
    largest, total = np.empty(BLOCK, x.dtype), np.empty(BLOCK)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        load_scores(x, n, first, end, scores, largest)
        total[:] = 0
        for c in range(g.c):
            row = scores[c]
            prefetch_next(x, n, c, end)
            for i in range(end - first):
                row[i] -= largest[i]
                exps[i] = decay(row[i])
            for i in range(end - first):
                total[i] += exps[i]
        for i in range(end - first):
            total[i] = log_of_normal(total[i])
        for c in range(g.c):
            row, out = scores[c], y[n, c, first:end]
            for i in range(len(out)):
                out[i] = row[i] - total[i]


@kernel({"contract"})
def _backward(start, stop, y, gy, gx, g):
    blocks = (g.size + BLOCK - 1) // BLOCK
    total = np.empty(BLOCK)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        total[:] = 0
        for c in range(g.c):
            grad = gy[n, c, first:end]
            for i in range(len(grad)):
                total[i] += grad[i]
        for c in range(g.c):
            row, grad, out = y[n, c, first:end], gy[n, c, first:end], gx[n, c, first:end]
            for i in range(len(row)):
                out[i] = grad[i] - decay(row[i]) * total[i]


@kernel({"contract"})
def _forward_last_axis(start, stop, x, y):
    for n in range(start, stop):
        row, out = x[n], y[n]
        largest, total = row_statistics(row, out)
        total = math.log(total)
        for i in range(len(row)):
            out[i] = (row[i] - largest) - total


@kernel({"contract"})
def _backward_last_axis(start, stop, y, gy, gx):
    for n in range(start, stop):
        row, grad, out = y[n], gy[n], gx[n]
        total = row_sum(grad)
        for i in range(len(row)):
            out[i] = grad[i] - decay(row[i]) * total


def forward(x: Array, y: Array, g: Geometry) -> None:
    if g.size == 1:
        rows = (g.n, g.c)
        launch(_forward_last_axis, g.n, x.size, x.reshape(rows), y.reshape(rows))
    else:
        planes = (g.n, g.c, g.size)
        launch(_forward, _units(g), x.size, x.reshape(planes), y.reshape(planes), g)


def backward(y: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    if g.size == 1:
        rows = (g.n, g.c)
        launch(_backward_last_axis, g.n, y.size, y.reshape(rows), gy.reshape(rows),
               gx.reshape(rows))  # fmt: skip
    else:
        planes = (g.n, g.c, g.size)
        launch(_backward, _units(g), y.size, y.reshape(planes), gy.reshape(planes),
               gx.reshape(planes), g)  # fmt: skip


def _units(g: Geometry) -> int:
    return g.n * ((g.size + BLOCK - 1) // BLOCK)
