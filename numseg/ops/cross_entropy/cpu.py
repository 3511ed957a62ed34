"""cross_entropy on the CPU.

A unit is a block of neighbouring pixels, so that loops over them are vectorised. Where x is (N, C),
and has no neighbours, it is one pixel with loops over its classes.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import copy_nontemporal, fence_nontemporal
from numseg.kernels.pointwise.elementary import decay, log_of_normal
from numseg.kernels.pointwise.losses import copy_into, power, store, times
from numseg.kernels.reductions.softmax import (
    BLOCK,
    exponentiate,
    load_scores,
    row_statistics,
    span,
    sum_columns,
    whole,
)
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.cross_entropy.geometry import Geometry
from numseg.typing import Array

RUN = 256
"""Pixels of a unit of backward, which keeps nothing of a row but what it sends to memory: the ends
of a run that are no whole lines of the cache take time."""

STREAMED = 2**24
"""Bytes of a gradient that is written past the caches: it would not stay there."""


@rule
def at_label(e, total):
    """``e / total - 1``, for a total that contains e: minus the share of the others, which keeps
    its digits where it is small."""
    return (e - total) / total


@rule
def focus(wrong, gamma):
    """Focal loss: what a pixel's loss is multiplied by."""
    return power(wrong, gamma) if gamma > 0 else 1.0


@rule
def focused_slope(wrong, loss, gamma):
    """What its gradient is multiplied by."""
    if gamma == 0:
        return 1.0
    ratio = loss / wrong if wrong > 0 else 1.0  # in the limit
    return power(wrong, gamma) * (1 + gamma * times(1 - wrong, ratio))


@rule
def at_most(worst, loss):
    return worst if loss > worst else loss  # NaN stays


@rule
def class_of(label, g):
    """The label, or -1 where it is ignored, or became no label because the caller wrote to the
    target after forward had checked it."""
    return label if 0 <= label < g.c and not (g.ignores and label == g.ignore_index) else -1


@rule
def classes_of(labels, n, first, end, label, g):
    """Fill ``label`` with the classes of a unit's pixels, and -1 behind them."""
    label[:] = -1
    here = labels[n, first:end]
    for i in range(len(here)):
        label[i] = class_of(here[i], g)


@rule
def add_focus(loss, label, behind, summed, g):
    for i in range(len(loss)):
        if label[i] >= 0:
            loss[i] *= focus(-at_label(decay(-behind[i]), summed[i]), g.gamma)


@rule
def add_smoothing(loss, label, x, n, first, end, weight, top, even, g):
    """``even`` is the logarithm of the sum of exps."""
    weights = row_sum(weight)
    for i in range(len(loss)):
        even[i] *= weights
    for c in range(g.c):
        row = x[n, c, first:end]
        for i in range(len(row)):
            even[i] += weight[c] * (np.float64(top[i]) - row[i])
    for i in range(len(loss)):
        mixed = (1 - g.smoothing) * loss[i] + g.smoothing / g.c * even[i]
        loss[i] = mixed if label[i] >= 0 else 0


@kernel({"contract"})
def _forward(start, stop, x, labels, weight, losses, largest, total, sums, g):
    """``sums`` gets each unit's sum of losses and of weights, and how many pixels count."""
    scores, label = np.zeros((g.c, BLOCK), x.dtype), np.empty(BLOCK, np.int64)
    top, behind = np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype)
    count, even, summed, loss = np.zeros(BLOCK), np.zeros(BLOCK), np.zeros(BLOCK), np.zeros(BLOCK)
    for unit in range(start, stop):
        n, first, end = span(unit, BLOCK, g)
        size = end - first
        load_scores(x, n, first, end, scores, top)
        classes_of(labels, n, first, end, label, g)
        pixels = 0
        for i in range(size):
            pixels += label[i] >= 0
        for i in range(whole(size)):
            known = np.uint64(max(label[i], 0))
            behind[i] = top[i] - scores[known, np.uint64(i)]
        for i in range(whole(size)):
            known = np.uint64(max(label[i], 0))
            count[i] = weight[known] if label[i] >= 0 else 0
        exponentiate(scores, top, x, n, first, end)
        sum_columns(scores, size, summed)
        copy_into(top, largest[n, first:end])
        copy_into(summed, total[n, first:end])
        for i in range(whole(size)):
            even[i] = log_of_normal(summed[i])
        for i in range(whole(size)):
            one = count[i] * at_most(g.worst, even[i] + behind[i])
            loss[i] = one if label[i] >= 0 else 0
        if g.gamma > 0:
            add_focus(loss[:size], label, behind, summed, g)
        if g.smoothing > 0:
            add_smoothing(loss[:size], label, x, n, first, end, weight, top, even, g)
        if g.per_pixel:
            copy_into(loss, losses[n, first:end])
        sums[unit, 0], sums[unit, 1] = row_sum(loss[:size]), row_sum(count[:size])
        sums[unit, 2] = pixels


@kernel({"contract"})
def _forward_rows(start, stop, x, labels, weight, losses, largest, total, sums, g):
    exps = np.empty(x.shape[1], x.dtype)
    weights = row_sum(weight)
    for n in range(start, stop):
        top, summed = row_statistics(x[n], exps)
        largest[n], total[n] = top, summed
        label, count, loss = class_of(labels[n], g), 0.0, 0.0
        if label >= 0:
            count = np.float64(weight[label])
            behind = top - x[n, label]
            loss = (1 - g.smoothing) * count * at_most(g.worst, log_of_normal(summed) + behind)
            loss *= focus(-at_label(decay(-behind), summed), g.gamma)
            if g.smoothing > 0:
                even = weights * log_of_normal(summed)
                for c in range(g.c):
                    even += weight[c] * (np.float64(top) - x[n, c])
                loss += g.smoothing / g.c * even
        if g.per_pixel:
            losses[n] = loss
        sums[n, 0], sums[n, 1], sums[n, 2] = loss, count, label >= 0


@rule
def add_focused_slope(factor, behind, right, summed, g):
    for i in range(len(factor)):
        if factor[i] != 0:
            wrong, loss = -at_label(right[i], summed[i]), log_of_normal(summed[i]) + behind[i]
            factor[i] *= focused_slope(wrong, loss, g.gamma)


@kernel({"contract"})
def _backward(start, stop, x, labels, weight, grads, largest, total, gx, streams, g):
    """``streams``: gx is larger than the caches."""
    # rows of one array: a compiler asks of each array whether it overlaps with the others, and has
    # no vectors for a loop over too many
    top, name, right, behind, slope, scale, even, moves = np.zeros((8, RUN), x.dtype)
    line, label, grad, factor = (
        np.empty(RUN, x.dtype),
        np.empty(RUN, np.int64),
        np.empty(RUN),
        np.empty(RUN),
    )
    zero, weights = x.dtype.type(0), row_sum(weight)
    for unit in range(start, stop):
        n, first, end = span(unit, RUN, g)
        size, greatest, summed = end - first, largest[n, first:end], total[n, first:end]
        classes_of(labels, n, first, end, label, g)
        for i in range(size):  # of the label's class: score, then exp
            known, pixel = np.uint64(max(label[i], 0)), np.uint64(first + i)
            top[i], right[i], factor[i] = greatest[i], x[n, known, pixel], weight[known]
            grad[i] = grads[np.uint64(n * g.size) + pixel] if g.per_pixel else grads[0]
        for i in range(size):
            name[i] = label[i]
            even[i] = grad[i] * g.smoothing / g.c if label[i] >= 0 else 0
            factor[i] = grad[i] * factor[i] * (1 - g.smoothing) if label[i] >= 0 else 0
        for i in range(size):
            behind[i] = top[i] - right[i]
            right[i] = decay(-behind[i])
        if g.gamma > 0:
            add_focused_slope(factor[:size], behind, right, summed, g)
        for i in range(size):
            both = factor[i] + even[i] * weights
            scale[i] = both / summed[i] if both != 0 else 0
            moves[i] = abs(factor[i]) + abs(even[i])  # 0 if both are
            slope[i] = factor[i] * at_label(np.float64(right[i]), summed[i])
        if g.smoothing > 0:
            for i in range(size):
                share = np.float64(right[i]) / summed[i]
                slope[i] += even[i] * (share * weights - weight[max(label[i], 0)])
        for c in range(g.c):
            row, class_, less = x[n, c, first:end], x.dtype.type(c), weight[c]
            out = line[:size] if streams else gx[n, c, first:end]
            for i in range(len(row)):
                value = decay(row[i] - top[i]) * scale[i] - even[i] * less
                value = slope[i] if name[i] == class_ else value
                out[i] = value if moves[i] != zero else zero  # whatever the exp
            if streams:
                copy_nontemporal(line, 0, gx, (n * g.c + c) * g.size + first, size)
    if streams:
        fence_nontemporal()


@kernel({"contract"})
def _backward_rows(start, stop, x, labels, weight, grads, largest, total, gx, g):
    weights = row_sum(weight)
    for n in range(start, stop):
        row, out, label, top = x[n], gx[n], class_of(labels[n], g), largest[n]
        grad = grads[n] if g.per_pixel else grads[0]
        even = grad * g.smoothing / g.c if label >= 0 else 0.0
        factor = grad * weight[label] * (1 - g.smoothing) if label >= 0 else 0.0
        both = factor + even * weights
        if factor == 0 and even == 0:
            out[:] = 0
            continue
        e = decay(row[label] - top)
        share = at_label(e, total[n])
        if g.gamma > 0:
            factor *= focused_slope(-share, log_of_normal(total[n]) - (row[label] - top), g.gamma)
            both = factor
        scale, less = x.dtype.type(both / total[n]), x.dtype.type(even)
        for c in range(len(row)):
            out[c] = decay(row[c] - top) * scale - less * weight[c]
        out[label] = factor * share + even * (e / total[n] * weights - weight[label])


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def forward(
    x: Array,
    target: Array,
    weight: Array | None,
    y: Array,
    largest: Array,
    total: Array,
    divisor: Array,
    g: Geometry,
) -> None:
    units = g.n * _blocks(g, BLOCK)
    losses, sums = np.zeros((g.n, g.size) if g.per_pixel else (0, 0)), np.zeros((units, 3))
    given = _labels(target, g), _weights(weight, x, g)
    if x.size and g.size == 1:
        launch(_forward_rows, g.n, x.size, x.reshape(g.n, g.c), given[0].reshape(-1), given[1],
               losses.reshape(-1), largest.reshape(-1), total.reshape(-1), sums, g)  # fmt: skip
    elif x.size:
        launch(_forward, units, x.size, x.reshape(g.n, g.c, g.size), *given,
               losses, largest, total, sums, g)  # fmt: skip
    loss, weights, pixels = sums.sum(0)
    divisor[...] = weights if g.mean else max(pixels, 1) if g.valid else g.divisor
    if g.per_pixel:
        store(y, losses.reshape(y.shape))
    elif divisor != 0:
        store(y, loss / divisor)
    else:
        y[...] = np.nan if g.empty_is_nan else 0


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def backward(
    x: Array,
    target: Array,
    weight: Array | None,
    largest: Array,
    total: Array,
    divisor: Array,
    gy: Array,
    gx: Array | None,
    g: Geometry,
) -> None:
    if gx is None or not x.size:
        return
    grads = gy.reshape(-1).astype(np.float64)
    if not g.per_pixel:
        grads[0] = grads[0] / divisor if divisor != 0 else 0
    given = _labels(target, g), _weights(weight, x, g)
    if g.size == 1:
        rows = (g.n, g.c)
        launch(_backward_rows, g.n, x.size, x.reshape(rows), given[0].reshape(-1), given[1],
               grads, largest.reshape(-1), total.reshape(-1),
               gx.reshape(rows), g)  # fmt: skip
    else:
        planes = (g.n, g.c, g.size)
        launch(_backward, g.n * _blocks(g, RUN), x.size, x.reshape(planes), *given,
               grads, largest, total, gx.reshape(planes), gx.nbytes > STREAMED, g)  # fmt: skip


def _blocks(g: Geometry, block: int) -> int:
    return (g.size + block - 1) // block


def _labels(target: Array, g: Geometry) -> Array:
    """One integer type for the kernels, read-only as most targets are."""
    labels = target.reshape(g.n, g.size).astype(np.int64, copy=False)
    labels.flags.writeable = False
    return labels


def _weights(weight: Array | None, x: Array, g: Geometry) -> Array:
    return np.ones(g.c, x.dtype) if weight is None else weight.copy()
