"""cross_entropy on CUDA. A thread owns pixels with all their classes.

The sum of a pixel's exps is a pair of numbers, so that a confident pixel's loss and gradient keep
their digits; only to be saved, and to be read again, is it float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.columns import largest_and_exps, log_of
from numseg.cuda.launch import (
    Double,
    Doubles,
    Long,
    Longs,
    Reals,
    given,
    kernel,
    launch,
    quotient,
    thread,
)
from numseg.cuda.losses import (
    Elements,
    grad_of,
    labels_of,
    over_elements,
    parts_of,
    power,
    times,
)
from numseg.cuda.pairs import added, keep, rounded, total_of, totals
from numseg.cuda.runtime import cuda, empty
from numseg.kernels.pointwise.elementary import decay
from numseg.ops.cross_entropy.geometry import Geometry


class Pixels(NamedTuple):
    c: int
    size: int
    """Pixels of an image."""
    ignores: bool
    smooth: bool
    focal: bool


class Changes(NamedTuple):
    """Of a pixel's loss."""

    smoothing: float
    gamma: float
    worst: float


@cuda.jit(device=True)
def first_and_class(i: Any, labels: Any, ignored: Any, p: Any) -> Any:
    """Where a pixel's scores begin, and its label; -1 where it is ignored, or became no label
    because the caller wrote to the target after forward had checked it."""
    image, label = quotient(i, p.size), labels[i]
    first = image * p.c * p.size + (i - image * p.size)
    counts = 0 <= label < p.c and not (p.ignores and label == ignored)
    return first, int32(label if counts else -1)


@cuda.jit(device=True)
def weight_of(weight: Any, label: Any) -> Any:
    return weight[label] if weight.size > 0 else weight.dtype.type(1)


@cuda.jit(device=True)
def others(e: Any, high: Any, low: Any) -> Any:
    """The share of the other classes in a total that contains e."""
    return ((high - e) + low) / high


@kernel
def _forward(
    x: Reals,
    labels: Longs,
    weight: Reals,
    losses: Reals,
    largest: Reals,
    total: Doubles,
    addends: Reals,
    ignored: Long,
    change: Changes,
    p: Pixels,
    e: Elements,
) -> None:
    part, _ = thread()
    if part >= e.threads:
        return
    zero, one = x.dtype.type(0), x.dtype.type(1)
    high = low = count = rest = zero
    pixels = int32(0)
    i = part
    while i < e.size:
        first, label = first_and_class(i, labels, ignored, p)
        top, exps, less = largest_and_exps(x, first, p.c, p.size)
        largest[i], total[i] = top, np.float64(exps) + np.float64(less)
        loss = zero
        if label >= 0:
            factor, even = weight_of(weight, label), log_of(exps, less)
            behind = top - x[first + label * p.size]
            loss = even + behind
            loss = factor * (change.worst if loss > change.worst else loss)
            if p.focal:
                loss *= power(others(decay(-behind), exps, less), change.gamma)
            if p.smooth:
                spread, small = zero, zero
                for c in range(p.c):
                    term = weight_of(weight, c) * (even + (top - x[first + c * p.size]))
                    spread, small = added(spread, small, term)
                share = change.smoothing / x.dtype.type(p.c)
                loss = (one - change.smoothing) * loss + share * rounded(spread, small)
            count, rest = added(count, rest, factor)
            pixels = int32(pixels + 1)
        if losses.size > 0:
            losses[i] = loss
        high, low = added(high, low, loss)
        i = int32(i + e.threads)
    keep(addends, 0, part, e.threads, high, low)
    keep(addends, 1, part, e.threads, count, rest)
    keep(addends, 2, part, e.threads, x.dtype.type(pixels), zero)  # exact: at most 2**12


class Reduction(NamedTuple):
    per_pixel: bool
    mean: bool
    valid: bool
    empty_is_nan: bool


@kernel
def _reduce(sums: Reals, y: Reals, divisor: Doubles, known: Double, how: Reduction) -> None:
    i, _ = thread()
    if i > 0:
        return
    pixels = total_of(sums, 2, 1, 0)
    by = total_of(sums, 1, 1, 0) if how.mean else (max(pixels, 1.0) if how.valid else known)
    divisor[0] = by
    if not how.per_pixel:
        nothing = np.nan if how.empty_is_nan else 0.0
        y[0] = y.dtype.type(total_of(sums, 0, 1, 0) / by if by != 0 else nothing)


@kernel
def _divide(grad: Reals, divisor: Doubles, out: Reals) -> None:
    i, _ = thread()
    if i == 0:
        by = divisor[0]
        out[0] = out.dtype.type(np.float64(grad[0]) / by if by != 0 else 0.0)


@kernel
def _backward(
    x: Reals,
    labels: Longs,
    weight: Reals,
    grads: Reals,
    largest: Reals,
    total: Doubles,
    gx: Reals,
    ignored: Long,
    change: Changes,
    p: Pixels,
    e: Elements,
) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    zero, one = x.dtype.type(0), x.dtype.type(1)
    while i < e.size:
        first, label = first_and_class(i, labels, ignored, p)
        top, factor, even, scale, slope = largest[i], zero, zero, zero, zero
        if label >= 0:
            high = x.dtype.type(total[i])
            low = x.dtype.type(total[i] - np.float64(high))
            grad = grad_of(grads, i)
            factor = grad * weight_of(weight, label) * (one - change.smoothing)
            behind = top - x[first + label * p.size]
            right = decay(-behind)
            wrong = others(right, high, low)
            if p.focal and factor != zero:
                ratio = (log_of(high, low) + behind) / wrong if wrong > zero else one  # the limit
                bent = one + change.gamma * times(right / high, ratio)
                factor *= power(wrong, change.gamma) * bent
            both, slope = factor, -factor * wrong
            if p.smooth:
                even = grad * change.smoothing / x.dtype.type(p.c)
                weights = zero
                for c in range(p.c):
                    weights += weight_of(weight, c)
                both += even * weights
                slope += even * (right / high * weights - weight_of(weight, label))
            scale = both / high if both != zero else zero
        at = first
        for c in range(p.c):
            value = decay(x[at] - top) * scale - even * weight_of(weight, c)
            value = slope if c == label else value
            gx[at] = value if factor != zero or even != zero else zero  # whatever the exp
            at += p.size
        i = int32(i + e.threads)


def forward(
    x: Any,
    target: Any,
    weight: Any,
    y: Any,
    largest: Any,
    total: Any,
    divisor: Any,
    g: Geometry,
) -> None:
    addends = parts_of(3, g.n * g.size, x.dtype)
    losses = y if g.per_pixel else empty((0,), x.dtype)
    how = Reduction(g.per_pixel, g.mean, g.valid, g.empty_is_nan)
    over_elements(_forward, g.n * g.size, x, labels_of(target), given(weight, x.dtype), losses,
                  largest, total, addends, *_options(g))  # fmt: skip
    launch(_reduce, 1, 1, totals(addends), y, divisor, g.divisor, how)


def backward(
    x: Any,
    target: Any,
    weight: Any,
    largest: Any,
    total: Any,
    divisor: Any,
    gy: Any,
    gx: Any,
    g: Geometry,
) -> None:
    if gx is None or not x.size:
        return
    grads = gy
    if not g.per_pixel:
        grads = empty((1,), x.dtype)
        launch(_divide, 1, 1, gy, divisor, grads)
    over_elements(_backward, g.n * g.size, x, labels_of(target), given(weight, x.dtype), grads,
                  largest, total, gx, *_options(g))  # fmt: skip


def _options(g: Geometry) -> tuple[Any, ...]:
    pixels = Pixels(g.c, g.size, g.ignores, g.smoothing > 0, g.gamma > 0)
    return g.ignore_index, Changes(g.smoothing, g.gamma, g.worst), pixels
