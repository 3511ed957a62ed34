"""smooth_l1_loss on CUDA."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Reals, given, kernel, thread
from numseg.cuda.losses import Elements, average, grad_of, over_elements, parts_of
from numseg.cuda.pairs import added, keep
from numseg.ops.smooth_l1_loss.geometry import Geometry
from numseg.ops.smooth_l1_loss.rules import loss_of, slope_of


@kernel
def _forward(x: Reals, target: Reals, y: Reals, addends: Reals, g: Geometry, e: Elements) -> None:
    part, _ = thread()
    if part >= e.threads:
        return
    high = low = x.dtype.type(0)
    i = part
    while i < e.size:
        loss = loss_of(abs(x[i] - target[i]), g.beta, g.scale)
        if g.each:
            y[i] = loss
        else:
            high, low = added(high, low, x.dtype.type(loss))
        i = int32(i + e.threads)
    if not g.each:
        keep(addends, 0, part, e.threads, high, low)


@kernel
def _backward(
    x: Reals, target: Reals, grads: Reals, gx: Reals, gt: Reals, g: Geometry, e: Elements
) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        slope = x.dtype.type(slope_of(x[i] - target[i], g.beta, g.scale))
        grad = grad_of(grads, i) * slope / g.divisor
        if gx.size > 0:
            gx[i] = grad
        if gt.size > 0:
            gt[i] = -grad
        i = int32(i + e.threads)


def forward(x: Any, target: Any, y: Any, g: Geometry) -> None:
    addends = parts_of(1, g.size, x.dtype, wanted=not g.each)
    over_elements(_forward, g.size, x, target, y, addends, g)
    if not g.each:
        average(addends, y, g.divisor)


def backward(x: Any, target: Any, gy: Any, gx: Any, gt: Any, g: Geometry) -> None:
    grads = given(gx, x.dtype), given(gt, x.dtype)
    over_elements(_backward, g.size, x, target, gy, *grads, g)
