"""sigmoid_focal_loss on the CPU. A unit is a block of neighbouring elements."""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.losses import BLOCK, blocks, logistic, power, put, spread, store, times
from numseg.kernels.parallel import launch
from numseg.kernels.sums import row_sum
from numseg.ops.sigmoid_focal_loss import Geometry
from numseg.typing import Array


@kernel({"contract"})
def _forward(start, stop, x, target, y, sums, g):
    loss = np.empty(BLOCK)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        score, wanted = x[first:end], target[first:end]
        for i in range(len(score)):
            t = np.float64(wanted[i])
            p, rest, no, yes = logistic(score[i])
            counts = power(p * (1 - t) + rest * t, g.gamma) * (g.yes * t + g.no * (1 - t))
            loss[i] = times(counts, times(t, yes) + times(1 - t, no))
        if g.each:
            put(loss, y[first:end])
        else:
            sums[unit] = row_sum(loss[: end - first])


@kernel({"contract"})
def _backward(start, stop, x, target, grads, gx, g):
    grad = np.empty(BLOCK)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        score, wanted = x[first:end], target[first:end]
        spread(grads, first, grad[: end - first])
        for i in range(len(score)):
            t = np.float64(wanted[i])
            p, rest, no, yes = logistic(score[i])
            wrong = p * (1 - t) + rest * t
            moves = p * rest * (1 - 2 * t) / wrong if wrong != 0 else 0.0
            ce = times(t, yes) + times(1 - t, no)
            slope = p * (1 - t) - rest * t + g.gamma * times(moves, ce)
            counts = power(wrong, g.gamma) * (g.yes * t + g.no * (1 - t))
            grad[i] = grad[i] / g.divisor * counts * slope
        put(grad, gx[first:end])


def forward(x: Array, target: Array, y: Array, g: Geometry) -> None:
    sums = np.zeros(blocks(g.size))
    launch(_forward, len(sums), 40 * g.size, x.reshape(-1), target.reshape(-1), y.reshape(-1),
           sums, g)  # fmt: skip
    if not g.each:
        store(y, sums.sum() / g.divisor)


def backward(x: Array, target: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, blocks(g.size), 40 * g.size, x.reshape(-1), target.reshape(-1),
               gy.reshape(-1), gx.reshape(-1), g)  # fmt: skip
