"""smooth_l1_loss on the CPU. A unit is a block of neighbouring elements."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.losses import BLOCK, blocks, broadcast, copy_into, store
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.smooth_l1_loss.geometry import Geometry
from numseg.ops.smooth_l1_loss.rules import loss_of, slope_of
from numseg.typing import Array


@kernel()
def _forward(start, stop, x, target, y, sums, g):
    loss = np.empty(BLOCK)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        given, wanted = x[first:end], target[first:end]
        for i in range(len(given)):
            d = abs(np.float64(given[i]) - wanted[i])
            loss[i] = loss_of(d, g.beta, g.scale)
        if g.each:
            copy_into(loss, y[first:end])
        else:
            sums[unit] = row_sum(loss[: end - first])


@kernel()
def _backward(start, stop, x, target, grads, gx, gt, g):
    grad = np.empty(BLOCK)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        given, wanted = x[first:end], target[first:end]
        broadcast(grads, first, grad[: end - first])
        for i in range(len(given)):
            d = np.float64(given[i]) - wanted[i]
            grad[i] = grad[i] / g.divisor * slope_of(d, g.beta, g.scale)
        if len(gx):
            copy_into(grad, gx[first:end])
        if len(gt):
            opposite = gt[first:end]
            for i in range(len(opposite)):
                opposite[i] = -grad[i]


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def forward(x: Array, target: Array, y: Array, g: Geometry) -> None:
    sums = np.zeros(blocks(g.size))
    launch(_forward, len(sums), g.size, x.reshape(-1), target.reshape(-1), y.reshape(-1), sums, g)
    if not g.each:
        store(y, sums.sum() / g.divisor)


def backward(
    x: Array, target: Array, gy: Array, gx: Array | None, gt: Array | None, g: Geometry
) -> None:
    flat = (np.empty(0, x.dtype) if a is None else a.reshape(-1) for a in (gx, gt))
    launch(_backward, blocks(g.size), g.size, x.reshape(-1), target.reshape(-1), gy.reshape(-1),
           *flat, g)  # fmt: skip
