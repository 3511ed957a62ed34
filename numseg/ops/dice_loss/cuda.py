"""dice_loss on CUDA. A thread owns a part of the sums of an image's class; backward, pixels with
all their classes. What softmax divides by is computed first, once for each pixel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.columns import largest_and_exps
from numseg.cuda.launch import (
    Double,
    Doubles,
    Long,
    Longs,
    Reals,
    given,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.losses import Elements, labels_of, over_elements, sigmoids
from numseg.cuda.pairs import added, keep, rounded, total_of
from numseg.cuda.runtime import cuda, empty
from numseg.cuda.sets import Sets, set_and_part, sets_of, sums_of
from numseg.kernels.pointwise.elementary import decay
from numseg.ops.dice_loss.geometry import ACTIVATIONS, Geometry

SIGMOID, SOFTMAX = ACTIVATIONS.index("sigmoid"), ACTIVATIONS.index("softmax")


class Pixels(NamedTuple):
    c: int
    size: int
    """Pixels of an image."""
    activation: int
    labels: bool
    squared: bool
    ignores: bool


class Groups(NamedTuple):
    """Whose sums one quotient is of."""

    n: int
    c: int
    rows: int
    """1 where images are summed, else n."""
    columns: int
    """1 where classes are summed, else c."""
    each: bool


class Smooth(NamedTuple):
    above: Double
    below: Double


@kernel
def _softmax(x: Reals, tops: Reals, scales: Reals, p: Pixels, e: Elements) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        image = quotient(i, p.size)
        first = image * p.c * p.size + (i - image * p.size)
        top, high, low = largest_and_exps(x, first, p.c, p.size)
        tops[i], scales[i] = top, x.dtype.type(1) / rounded(high, low)
        i = int32(i + e.threads)


@cuda.jit(device=True)
def probability(score: Any, pixel: Any, tops: Any, scales: Any, p: Any) -> Any:
    """Of a class in a pixel."""
    if p.activation == SOFTMAX:
        return decay(score - tops[pixel]) * scales[pixel]
    if p.activation == SIGMOID:
        up, _ = sigmoids(score)
        return up
    return score


@cuda.jit(device=True)
def is_ignored(pixel: Any, labels: Any, ignored: Any, p: Any) -> Any:
    return p.ignores and labels[pixel] == ignored


@cuda.jit(device=True)
def wanted_of(at: Any, pixel: Any, label: Any, labels: Any, masks: Any, p: Any) -> Any:
    """The target of a class in a pixel."""
    if not p.labels:
        return masks[at]
    return masks.dtype.type(1 if labels[pixel] == label else 0)


@kernel
def _sums(
    x: Reals,
    labels: Longs,
    masks: Reals,
    tops: Reals,
    scales: Reals,
    addends: Reals,
    ignored: Long,
    p: Pixels,
    g: Sets,
) -> None:
    place, plane = thread()
    if place >= (g.parts if g.along else g.sets):
        return
    while plane < (g.sets if g.along else g.parts):
        here, part = set_and_part(place, plane, g)
        image = quotient(here, p.c)
        label = int32(here - image * p.c)
        both = both_low = own = own_low = other = other_low = x.dtype.type(0)
        i = part
        while i < p.size:
            pixel, at = image * p.size + i, here * p.size + i
            if not is_ignored(pixel, labels, ignored, p):
                a = probability(x[at], pixel, tops, scales, p)
                t = wanted_of(at, pixel, label, labels, masks, p)
                both, both_low = added(both, both_low, a * t)
                own, own_low = added(own, own_low, a * a if p.squared else a)
                other, other_low = added(other, other_low, t * t if p.squared else t)
            i = int32(i + g.parts)
        size = g.parts * g.sets
        keep(addends, 0, part * g.sets + here, size, both, both_low)
        keep(addends, 1, part * g.sets + here, size, own, own_low)
        keep(addends, 2, part * g.sets + here, size, other, other_low)
        plane = next_plane(plane)


@kernel
def _join(pairs: Reals, sums: Doubles, count: int) -> None:
    i, _ = thread()
    if i < count:
        for k in range(3):
            sums[3 * i + k] = total_of(pairs, k, count, i)


@kernel
def _quotients(sums: Doubles, above: Doubles, below: Doubles, smooth: Smooth, g: Groups) -> None:
    """What is above and below the bar, for each group."""
    group, _ = thread()
    if group >= g.rows * g.columns:
        return
    row = quotient(group, g.columns)
    column = int32(group - row * g.columns)
    both = size = np.float64(0)
    n = row
    while n < g.n:
        c = column
        while c < g.c:
            at = 3 * (n * g.c + c)
            both += sums[at]
            size += sums[at + 1] + sums[at + 2]
            c = int32(c + g.columns)
        n = int32(n + g.rows)
    above[group], below[group] = 2 * both + smooth.above, size + smooth.below


@kernel
def _reduce(above: Doubles, below: Doubles, y: Reals, divisor: Double, each: bool) -> None:
    i, _ = thread()
    if each and i < y.size:
        y[i] = 1 - above[i] / below[i]
    elif not each and i == 0:
        total = np.float64(0)
        for k in range(above.size):
            total += 1 - above[k] / below[k]
        y[0] = total / divisor


@kernel
def _slopes(
    above: Doubles,
    below: Doubles,
    grads: Reals,
    of_both: Reals,
    of_size: Reals,
    divisor: Double,
    g: Groups,
) -> None:
    """Of the sums of p t, and of p or its square, of an image's class."""
    i, _ = thread()
    if i >= g.n * g.c:
        return
    n = quotient(i, g.c)
    c = i - n * g.c
    group = (n if g.rows > 1 else 0) * g.columns + (c if g.columns > 1 else 0)
    both = -2 * np.float64(grads[group if g.each else 0]) / divisor / below[group]
    of_both[i], of_size[i] = both, -0.5 * both * (above[group] / below[group])


@kernel
def _backward(
    x: Reals,
    labels: Longs,
    masks: Reals,
    tops: Reals,
    scales: Reals,
    of_both: Reals,
    of_size: Reals,
    gx: Reals,
    ignored: Long,
    p: Pixels,
    e: Elements,
) -> None:
    pixel, _ = thread()
    if pixel >= e.threads:
        return
    one, two = x.dtype.type(1), x.dtype.type(2)
    while pixel < e.size:
        image = quotient(pixel, p.size)
        first, plane = image * p.c * p.size + (pixel - image * p.size), image * p.c
        high = low = x.dtype.type(0)
        if p.activation == SOFTMAX:
            at = first
            for c in range(p.c):
                a = probability(x[at], pixel, tops, scales, p)
                t = wanted_of(at, pixel, c, labels, masks, p)
                slope = of_size[plane + c] * (two * a if p.squared else one)
                high, low = added(high, low, (of_both[plane + c] * t + slope) * a)
                at += p.size
        dot, counts = rounded(high, low), not is_ignored(pixel, labels, ignored, p)
        at = first
        for c in range(p.c):
            a = probability(x[at], pixel, tops, scales, p)
            t = wanted_of(at, pixel, c, labels, masks, p)
            grad = of_both[plane + c] * t + of_size[plane + c] * (two * a if p.squared else one)
            if p.activation == SOFTMAX:
                grad = a * (grad - dot)
            elif p.activation == SIGMOID:
                grad = grad * a * (one - a)
            gx[at] = grad if counts else x.dtype.type(0)
            at += p.size
        pixel = int32(pixel + e.threads)


def forward(x: Any, target: Any, y: Any, sums: Any, g: Geometry) -> None:
    sets, arrays, groups = sets_of(1, g.n * g.c, g.size), _arrays(x, target, g), _groups(g)
    pairs = sums_of(_sums, 3, sets, x.dtype, *arrays, how=(g.ignore_index, _pixels(g)))
    launch(_join, 1, g.n * g.c, pairs, sums, g.n * g.c)
    launch(_reduce, 1, max(y.size, 1), *_bars(sums, groups, g), y, g.divisor, g.each)


def backward(x: Any, target: Any, sums: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is None or not x.size:
        return
    groups = _groups(g)
    slopes = empty((g.n * g.c,), x.dtype), empty((g.n * g.c,), x.dtype)
    launch(_slopes, 1, g.n * g.c, *_bars(sums, groups, g), gy, *slopes, g.divisor, groups)
    over_elements(_backward, g.n * g.size, *_arrays(x, target, g), *slopes, gx, g.ignore_index,
                  _pixels(g))  # fmt: skip


def _pixels(g: Geometry) -> Pixels:
    return Pixels(g.c, g.size, g.activation, g.labels, g.squared, g.ignores)


def _groups(g: Geometry) -> Groups:
    return Groups(g.n, g.c, 1 if g.batch else g.n, 1 if g.micro else g.c, g.each)


def _bars(sums: Any, groups: Groups, g: Geometry) -> tuple[Any, Any]:
    """What is above and below the bar, for each group."""
    count = groups.rows * groups.columns
    bars = empty((count,), np.float64), empty((count,), np.float64)
    smooth = Smooth(np.float64(g.smooth_nr), np.float64(g.smooth_dr))
    launch(_quotients, 1, count, sums, *bars, smooth, groups)
    return bars


def _arrays(x: Any, target: Any, g: Geometry) -> tuple[Any, ...]:
    """What kernels read: x, labels, masks, and what softmax subtracts and multiplies by."""
    softmax = ACTIVATIONS[g.activation] == "softmax"
    pixels = g.n * g.size if softmax else 0
    tops, scales = empty((pixels,), x.dtype), empty((pixels,), x.dtype)
    if softmax:
        over_elements(_softmax, pixels, x, tops, scales, _pixels(g))
    labels = given(labels_of(target) if g.labels else None, np.int64)
    return x, labels, given(None if g.labels else target, x.dtype), tops, scales
