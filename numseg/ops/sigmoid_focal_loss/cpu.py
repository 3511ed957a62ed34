"""sigmoid_focal_loss on the CPU. A unit is a block of neighbouring elements."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.losses import (
    BLOCK,
    blocks,
    broadcast,
    copy_into,
    powers,
    sigmoids,
    softpluses,
    store,
    times,
)
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.sigmoid_focal_loss.geometry import Geometry
from numseg.typing import Array


@rule
def parts_of(score, wanted, gamma, p, rest, wrong, counts, ce):
    """Fill ``p`` and ``rest`` with sigmoid(x) and sigmoid(-x), ``wrong`` with the share of what is
    not wanted, ``counts`` with its power, and ``ce`` with the cross-entropy."""
    softpluses(score, ce, counts)
    for i in range(len(score)):
        t = np.float64(wanted[i])
        ce[i] = times(t, counts[i]) + times(1 - t, ce[i])
    sigmoids(score, p, rest)
    for i in range(len(score)):
        t = np.float64(wanted[i])
        wrong[i] = p[i] * (1 - t) + rest[i] * t
    powers(wrong[: len(score)], gamma, counts)


@kernel({"contract"})
def _forward(start, stop, x, target, y, sums, g):
    p, rest, wrong = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    loss, ce = np.empty(BLOCK), np.empty(BLOCK)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        score, wanted = x[first:end], target[first:end]
        parts_of(score, wanted, g.gamma, p, rest, wrong, loss, ce)
        for i in range(len(score)):
            t = np.float64(wanted[i])
            loss[i] = (g.yes * t + g.no * (1 - t)) * times(loss[i], ce[i])
        if g.each:
            copy_into(loss, y[first:end])
        else:
            sums[unit] = row_sum(loss[: end - first])


@kernel({"contract"})
def _backward(start, stop, x, target, grads, gx, g):
    p, rest, wrong = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    grad, counts, ce = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        score, wanted = x[first:end], target[first:end]
        parts_of(score, wanted, g.gamma, p, rest, wrong, counts, ce)
        for i in range(len(score)):
            t = np.float64(wanted[i])
            moves = p[i] * rest[i] * (1 - 2 * t) / wrong[i] if wrong[i] != 0 else 0.0
            ce[i] = p[i] * (1 - t) - rest[i] * t + g.gamma * times(moves, ce[i])
        broadcast(grads, first, grad[: end - first])
        for i in range(len(score)):
            t = np.float64(wanted[i])
            grad[i] = grad[i] / g.divisor * counts[i] * (g.yes * t + g.no * (1 - t)) * ce[i]
        copy_into(grad, gx[first:end])


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
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
