"""The losses of box overlaps on the CPU. A unit is a block of neighbouring pairs."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.losses import BLOCK, blocks, broadcast, copy_into, store
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.generalized_box_iou_loss.geometry import Geometry
from numseg.ops.generalized_box_iou_loss.rules import loss_of, slopes_of
from numseg.typing import Array


@kernel()
def _forward(start, stop, one, two, y, sums, g):
    loss, a, b = np.empty(BLOCK), np.empty(4), np.empty(4)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        for i in range(end - first):
            copy_into(one[first + i], a)
            copy_into(two[first + i], b)
            loss[i] = loss_of(a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], g)
        if g.each:
            copy_into(loss, y[first:end])
        else:
            sums[unit] = row_sum(loss[: end - first])


@kernel()
def _backward(start, stop, one, two, grads, out, g):
    """The gradient of the first boxes."""
    grad, a, b = np.empty(BLOCK), np.empty(4), np.empty(4)
    for unit in range(start, stop):
        first, end = unit * BLOCK, min(unit * BLOCK + BLOCK, g.size)
        broadcast(grads, first, grad[: end - first])
        for i in range(end - first):
            copy_into(one[first + i], a)
            copy_into(two[first + i], b)
            scale, box = grad[i] / g.divisor, out[first + i]
            slopes = slopes_of(a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], g)
            for k in range(4):
                box[k] = scale * slopes[k]


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def forward(boxes1: Array, boxes2: Array, y: Array, g: Geometry) -> None:
    sums = np.zeros(blocks(g.size))
    pairs = boxes1.reshape(-1, 4), boxes2.reshape(-1, 4)
    launch(_forward, len(sums), 40 * g.size, *pairs, y.reshape(-1), sums, g)
    if not g.each:
        store(y, sums.sum() / g.divisor)


def backward(
    boxes1: Array, boxes2: Array, gy: Array, g1: Array | None, g2: Array | None, g: Geometry
) -> None:
    one, two = boxes1.reshape(-1, 4), boxes2.reshape(-1, 4)
    for boxes, others, grad in ((one, two, g1), (two, one, g2)):  # the losses are symmetric
        if grad is not None:
            launch(_backward, blocks(g.size), 80 * g.size, boxes, others, gy.reshape(-1),
                   grad.reshape(-1, 4), g)  # fmt: skip
