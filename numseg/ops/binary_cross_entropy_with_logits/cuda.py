"""binary_cross_entropy_with_logits on CUDA."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.broadcast import Walk, places, walk
from numseg.cuda.launch import (
    Longs,
    Reals,
    given,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.losses import (
    Elements,
    average,
    grad_of,
    labels_of,
    over_elements,
    parts_of,
    sigmoids,
    softpluses,
    times,
)
from numseg.cuda.pairs import added, keep
from numseg.cuda.runtime import cuda
from numseg.ops.binary_cross_entropy_with_logits.geometry import Geometry
from numseg.typing import Shape


class Planes(NamedTuple):
    """Of x, where a class is chosen."""

    classes: int
    size: int
    """Of an image of the target."""


@cuda.jit(device=True)
def place_of(i: Any, labels: Any, p: Any) -> Any:
    """Where the score of an element is: in range whatever the caller did to labels since."""
    if p.classes == 0:
        return i
    n = quotient(i, p.size)
    label = min(max(labels[n], 0), p.classes - 1)
    return (n * p.classes + label) * p.size + (i - n * p.size)


@cuda.jit(device=True)
def factors_of(i: Any, target: Any, weight: Any, positive: Any, over: Any) -> Any:
    """An element's weight, and that times ``pos_weight``."""
    one = target.dtype.type(1)
    at, there, _ = places(i, over)
    w = weight[at] if weight.size > 0 else one
    return w, w * (positive[there] if positive.size > 0 else one)


@kernel
def _forward(
    x: Reals,
    target: Reals,
    weight: Reals,
    positive: Reals,
    labels: Longs,
    y: Reals,
    addends: Reals,
    over: Walk,
    p: Planes,
    e: Elements,
) -> None:
    part, _ = thread()
    if part >= e.threads:
        return
    each = addends.size == 0
    high = low = x.dtype.type(0)
    i = part
    while i < e.size:
        t, one = target[i], x.dtype.type(1)
        w, wp = factors_of(i, target, weight, positive, over)
        no, yes = softpluses(x[place_of(i, labels, p)])
        loss = times(wp * t, yes) + times(w * (one - t), no)
        if each:
            y[i] = loss
        else:
            high, low = added(high, low, loss)
        i = int32(i + e.threads)
    if not each:
        keep(addends, 0, part, e.threads, high, low)


@kernel
def _backward(
    x: Reals,
    target: Reals,
    weight: Reals,
    positive: Reals,
    labels: Longs,
    grads: Reals,
    gx: Reals,
    gt: Reals,
    divisor: float,
    over: Walk,
    p: Planes,
    e: Elements,
) -> None:
    i, _ = thread()
    if i >= e.threads:
        return
    while i < e.size:
        t, one, at = target[i], x.dtype.type(1), place_of(i, labels, p)
        gy = grad_of(grads, i) / divisor
        w, wp = factors_of(i, target, weight, positive, over)
        if gx.size > 0:
            up, down = sigmoids(x[at])
            gx[at] = gy * (w * (one - t) * up - wp * t * down)
        if gt.size > 0:
            no, yes = softpluses(x[at])
            gt[i] = gy * (times(wp, yes) - times(w, no))
        i = int32(i + e.threads)


@kernel
def _clear_others(labels: Longs, gx: Reals, n: int, p: Planes) -> None:
    """Of the classes that are not chosen."""
    pixel, plane = thread()
    if pixel >= p.size:
        return
    while plane < n * p.classes:
        image = quotient(plane, p.classes)
        if min(max(labels[image], 0), p.classes - 1) != plane - image * p.classes:
            gx[plane * p.size + pixel] = gx.dtype.type(0)
        plane = next_plane(plane)


def forward(
    x: Any, target: Any, weight: Any, pos_weight: Any, labels: Any, y: Any, g: Geometry
) -> None:
    arrays, how = _laid_out(x, target, weight, pos_weight, labels, g)
    addends = parts_of(1, g.size, x.dtype, wanted=not g.each)
    over_elements(_forward, g.size, *arrays, y, addends, *how)
    if not g.each:
        average(addends, y, g.divisor)


def backward(
    x: Any,
    target: Any,
    weight: Any,
    pos_weight: Any,
    labels: Any,
    gy: Any,
    gx: Any,
    gt: Any,
    g: Geometry,
) -> None:
    arrays, how = _laid_out(x, target, weight, pos_weight, labels, g)
    grads = given(gx, x.dtype), given(gt, x.dtype)
    over_elements(_backward, g.size, *arrays, gy, *grads, g.divisor, *how)
    if labels is not None and gx is not None:
        launch(_clear_others, labels.size * g.classes, how[1].size, arrays[-1], gx,
               labels.size, how[1])  # fmt: skip


def _laid_out(
    x: Any, target: Any, weight: Any, pos_weight: Any, labels: Any, g: Geometry
) -> tuple[Any, Any]:
    """The arrays that kernels read, and how they find their elements in them."""
    numbers = [given(a, x.dtype) for a in (weight, pos_weight)]
    known = given(None if labels is None else labels_of(labels), np.int64)
    planes = Planes(0 if labels is None else g.classes, math.prod(target.shape[1:]))
    shapes = [() if a is None else tuple(a.shape) for a in (weight, pos_weight)]
    over = walk(_axes(tuple(target.shape), *shapes) if g.size else [])
    return (x, target, *numbers, known), (over, planes)


def _axes(shape: Shape, *broadcast: Shape) -> list[tuple[int, ...]]:
    """Sizes of the axes, outermost first, and the steps along them in each array; neighbours that
    are walked through alike are one."""
    axes: list[tuple[int, ...]] = []
    lengths = [1] * len(broadcast)
    backwards = zip_longest(reversed(shape), *map(reversed, broadcast), fillvalue=1)
    for size, *own in backwards:
        steps = [0 if a == 1 else b for a, b in zip(own, lengths, strict=True)]
        lengths = [a * b for a, b in zip(own, lengths, strict=True)]
        if size == 1:
            continue
        if axes and all(s == t * axes[0][0] for s, t in zip(steps, axes[0][1:], strict=False)):
            axes[0] = (size * axes[0][0], *axes[0][1:])
        else:
            axes.insert(0, (size, *steps, 0))
    return axes
