"""sigmoid_focal_loss on CUDA."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Reals, kernel, thread
from numseg.cuda.losses import (
    Elements,
    average,
    grad_of,
    over_elements,
    parts_of,
    power,
    sigmoids,
    softpluses,
    times,
)
from numseg.cuda.pairs import added, keep
from numseg.cuda.runtime import cuda
from numseg.ops.sigmoid_focal_loss.geometry import Geometry


@cuda.jit(device=True)
def shares(x: Any, t: Any) -> Any:
    """sigmoid(x), sigmoid(-x), the share of what is not wanted, and the cross-entropy."""
    one = type(t)(1)
    no, yes = softpluses(x)
    p, rest = sigmoids(x)
    return p, rest, p * (one - t) + rest * t, times(t, yes) + times(one - t, no)


@kernel
def _forward(x: Reals, target: Reals, y: Reals, addends: Reals, g: Geometry, e: Elements) -> None:
    part, _ = thread()
    if part >= e.threads:
        return
    high = low = x.dtype.type(0)
    i = part
    while i < e.size:
        t = target[i]
        _, _, wrong, ce = shares(x[i], t)
        alpha = g.yes * t + g.no * (x.dtype.type(1) - t)
        loss = alpha * times(power(wrong, g.gamma), ce)
        if g.each:
            y[i] = loss
        else:
            high, low = added(high, low, loss)
        i = int32(i + e.threads)
    if not g.each:
        keep(addends, 0, part, e.threads, high, low)


@kernel
def _backward(x: Reals, target: Reals, grads: Reals, gx: Reals, g: Geometry, e: Elements) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        t, zero, one, two = target[i], x.dtype.type(0), x.dtype.type(1), x.dtype.type(2)
        p, rest, wrong, ce = shares(x[i], t)
        moves = p * rest * (one - two * t) / wrong if wrong != zero else zero
        slope = p * (one - t) - rest * t + g.gamma * times(moves, ce)
        alpha = g.yes * t + g.no * (one - t)
        gx[i] = grad_of(grads, i) / g.divisor * power(wrong, g.gamma) * alpha * slope
        i = int32(i + e.threads)


def forward(x: Any, target: Any, y: Any, g: Geometry) -> None:
    addends = parts_of(1, g.size, x.dtype, wanted=not g.each)
    over_elements(_forward, g.size, x, target, y, addends, g)
    if not g.each:
        average(addends, y, g.divisor)


def backward(x: Any, target: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        over_elements(_backward, g.size, x, target, gy, gx, g)
