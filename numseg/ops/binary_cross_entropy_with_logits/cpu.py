"""binary_cross_entropy_with_logits on the CPU. A unit is a block of neighbouring elements."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.losses import (
    BLOCK,
    blocks,
    broadcast,
    copy_into,
    sigmoids,
    softpluses,
    store,
    times,
)
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.binary_cross_entropy_with_logits.geometry import Geometry
from numseg.typing import Array


@kernel({"contract"})
def _forward(start, stop, x, target, weight, positive, y, sums, g):
    loss, w, pw = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    no, yes = np.empty(BLOCK), np.empty(BLOCK)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        score, wanted = x[first:end], target[first:end]
        broadcast(weight, first, w[: end - first])
        broadcast(positive, first, pw[: end - first])
        softpluses(score, no, yes)
        for i in range(len(score)):
            t = np.float64(wanted[i])
            loss[i] = times(w[i] * pw[i] * t, yes[i]) + times(w[i] * (1 - t), no[i])
        if g.each:
            copy_into(loss, y[first:end])
        else:
            sums[unit] = row_sum(loss[: end - first])


@kernel({"contract"})
def _backward(start, stop, x, target, weight, positive, grads, gx, gt, g):
    grad, w, pw = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    up, down = np.empty(BLOCK), np.empty(BLOCK)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        score, wanted = x[first:end], target[first:end]
        broadcast(weight, first, w[: end - first])
        broadcast(positive, first, pw[: end - first])
        broadcast(grads, first, grad[: end - first])
        if len(gx):
            sigmoids(score, up, down)
            for i in range(len(score)):
                t, gy = np.float64(wanted[i]), grad[i] / g.divisor
                up[i] = gy * (w[i] * (1 - t) * up[i] - w[i] * pw[i] * t * down[i])
            copy_into(up, gx[first:end])
        if len(gt):
            softpluses(score, up, down)
            for i in range(len(score)):
                gy = grad[i] / g.divisor
                up[i] = gy * (times(w[i] * pw[i], down[i]) - times(w[i], up[i]))
            copy_into(up, gt[first:end])


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def forward(
    x: Array,
    target: Array,
    weight: Array | None,
    pos_weight: Array | None,
    labels: Array | None,
    y: Array,
    g: Geometry,
) -> None:
    sums = np.zeros(blocks(g.size))
    launch(_forward, len(sums), 20 * g.size, *_flat(x, target, weight, pos_weight, labels, g),
           y.reshape(-1), sums, g)  # fmt: skip
    if not g.each:
        store(y, sums.sum() / g.divisor)


def backward(
    x: Array,
    target: Array,
    weight: Array | None,
    pos_weight: Array | None,
    labels: Array | None,
    gy: Array,
    gx: Array | None,
    gt: Array | None,
    g: Geometry,
) -> None:
    nowhere = np.empty(0, x.dtype)
    chosen = gx
    if labels is not None and gx is not None:
        chosen = np.empty(target.shape, x.dtype)
    launch(_backward, blocks(g.size), 20 * g.size,
           *_flat(x, target, weight, pos_weight, labels, g), gy.reshape(-1),
           nowhere if chosen is None else chosen.reshape(-1),
           nowhere if gt is None else gt.reshape(-1), g)  # fmt: skip
    if labels is not None and gx is not None and gx.size:
        gx[...] = 0
        gx[_places(labels, g)] = chosen


def _places(labels: Array, g: Geometry) -> tuple[Array, Array]:
    """An index of the chosen classes, in range whatever the caller did to labels after forward."""
    return np.arange(len(labels)), np.clip(labels, 0, g.classes - 1)


def _flat(
    x: Array,
    target: Array,
    weight: Array | None,
    pos_weight: Array | None,
    labels: Array | None,
    g: Geometry,
) -> tuple[Array, ...]:
    """Rows of numbers; a weight that is the same for all elements is one number."""
    scores = x if labels is None or not target.size else x[_places(labels, g)]

    def factors(given: Array | None) -> Array:
        if given is None or given.size == 1:
            return np.ones(1, x.dtype) if given is None else given.reshape(1).copy()
        return np.ascontiguousarray(np.broadcast_to(given, target.shape)).reshape(-1)

    return scores.reshape(-1), target.reshape(-1), factors(weight), factors(pos_weight)
