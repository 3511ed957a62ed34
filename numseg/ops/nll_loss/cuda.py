"""nll_loss on CUDA. A thread owns pixels with all their classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.launch import Doubles, Long, Longs, Reals, given, kernel, launch, thread
from numseg.cuda.losses import Elements, grad_of, labels_of, over_elements, parts_of
from numseg.cuda.pairs import added, keep, total_of, totals
from numseg.cuda.runtime import empty
from numseg.ops.cross_entropy.cuda import Pixels, first_and_class, weight_of
from numseg.ops.cross_entropy.cuda import _divide as divide_gradient
from numseg.ops.nll_loss.geometry import Geometry


class Reduction(NamedTuple):
    per_pixel: bool
    mean: bool
    empty_is_nan: bool


@kernel
def _forward(
    x: Reals,
    labels: Longs,
    weight: Reals,
    losses: Reals,
    addends: Reals,
    ignored: Long,
    p: Pixels,
    e: Elements,
) -> None:
    part, _ = thread()
    if part >= e.threads:
        return
    zero = x.dtype.type(0)
    high = low = count = rest = zero
    i = part
    while i < e.size:
        first, label = first_and_class(i, labels, ignored, p)
        loss = zero
        if label >= 0:
            factor = weight_of(weight, label)
            loss = -factor * x[first + label * p.size]
            count, rest = added(count, rest, factor)
        if losses.size > 0:
            losses[i] = loss
        high, low = added(high, low, loss)
        i = int32(i + e.threads)
    keep(addends, 0, part, e.threads, high, low)
    keep(addends, 1, part, e.threads, count, rest)


@kernel
def _reduce(sums: Reals, y: Reals, divisor: Doubles, how: Reduction) -> None:
    i, _ = thread()
    if i > 0:
        return
    by = total_of(sums, 1, 1, 0) if how.mean else np.float64(1)
    divisor[0] = by
    if not how.per_pixel:
        nothing = np.nan if how.empty_is_nan else 0.0
        y[0] = y.dtype.type(total_of(sums, 0, 1, 0) / by if by != 0 else nothing)


@kernel
def _backward(
    labels: Longs, weight: Reals, grads: Reals, gx: Reals, ignored: Long, p: Pixels, e: Elements
) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        at, label = first_and_class(i, labels, ignored, p)
        for c in range(p.c):
            gx[at] = (
                -weight_of(weight, label) * grad_of(grads, i) if c == label else gx.dtype.type(0)
            )
            at += p.size
        i = int32(i + e.threads)


def forward(x: Any, target: Any, weight: Any, y: Any, divisor: Any, g: Geometry) -> None:
    addends = parts_of(2, g.n * g.size, x.dtype)
    losses = y if g.per_pixel else empty((0,), x.dtype)
    over_elements(_forward, g.n * g.size, x, labels_of(target), given(weight, x.dtype), losses,
                  addends, *_options(g))  # fmt: skip
    how = Reduction(g.per_pixel, g.mean, g.empty_is_nan)
    launch(_reduce, 1, 1, totals(addends), y, divisor, how)


def backward(target: Any, weight: Any, divisor: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is None:
        return
    grads = gy
    if not g.per_pixel:
        grads = empty((1,), gx.dtype)
        launch(divide_gradient, 1, 1, gy, divisor, grads)
    over_elements(_backward, g.n * g.size, labels_of(target), given(weight, gx.dtype), grads, gx,
                  *_options(g))  # fmt: skip


def _options(g: Geometry) -> tuple[Any, ...]:
    return g.ignore_index, Pixels(g.c, g.size, g.ignores, False, False)
