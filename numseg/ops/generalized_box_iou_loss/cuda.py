"""The losses of box overlaps on CUDA."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Reals, kernel, thread
from numseg.cuda.losses import Elements, average, grad_of, over_elements, parts_of
from numseg.cuda.pairs import added, keep
from numseg.ops.generalized_box_iou_loss.geometry import Geometry
from numseg.ops.generalized_box_iou_loss.rules import loss_of, slopes_of


@kernel
def _forward(one: Reals, two: Reals, y: Reals, addends: Reals, g: Geometry, e: Elements) -> None:
    part, _ = thread()
    if part >= e.threads:
        return
    high = low = one.dtype.type(0)
    i = part
    while i < e.size:
        at = 4 * i
        loss = loss_of(one[at], one[at + 1], one[at + 2], one[at + 3],
                       two[at], two[at + 1], two[at + 2], two[at + 3], g)  # fmt: skip
        if g.each:
            y[i] = loss
        else:
            high, low = added(high, low, one.dtype.type(loss))
        i = int32(i + e.threads)
    if not g.each:
        keep(addends, 0, part, e.threads, high, low)


@kernel
def _backward(one: Reals, two: Reals, grads: Reals, out: Reals, g: Geometry, e: Elements) -> None:
    """The gradient of the first boxes."""
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        at = 4 * i
        scale = grad_of(grads, i) / g.divisor
        x1, y1, x2, y2 = slopes_of(one[at], one[at + 1], one[at + 2], one[at + 3],
                                   two[at], two[at + 1], two[at + 2], two[at + 3], g)  # fmt: skip
        out[at], out[at + 1] = scale * x1, scale * y1
        out[at + 2], out[at + 3] = scale * x2, scale * y2
        i = int32(i + e.threads)


def forward(boxes1: Any, boxes2: Any, y: Any, g: Geometry) -> None:
    addends = parts_of(1, g.size, boxes1.dtype, wanted=not g.each)
    over_elements(_forward, g.size, boxes1, boxes2, y, addends, g)
    if not g.each:
        average(addends, y, g.divisor)


def backward(boxes1: Any, boxes2: Any, gy: Any, g1: Any, g2: Any, g: Geometry) -> None:
    for boxes, others, grad in ((boxes1, boxes2, g1), (boxes2, boxes1, g2)):  # symmetric
        if grad is not None:
            over_elements(_backward, g.size, boxes, others, gy, grad, g)
