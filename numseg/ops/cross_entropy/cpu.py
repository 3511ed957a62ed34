"""cross_entropy on the CPU.

A unit is a block of neighbouring pixels, so that loops over them are vectorised. Where x is (N, C),
and has no neighbours, it is one pixel with loops over its classes.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.elementary import decay, log
from numseg.kernels.jit import kernel, rule
from numseg.kernels.losses import power, put, spread, store, times
from numseg.kernels.parallel import launch
from numseg.kernels.softmax import add_up, exponentiate, row_statistics, take
from numseg.kernels.sums import row_sum
from numseg.ops.cross_entropy import Geometry
from numseg.typing import Array

BLOCK = 128
"""Pixels of a unit: two blocks of 21 classes stay in the first-level cache."""


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
def span(unit, stop, g):
    """The pixels of a unit: image, first, last + 1; none from ``stop`` on."""
    if unit >= stop:
        return 0, 0, 0
    n, block = divmod(unit, (g.size + BLOCK - 1) // BLOCK)
    return n, block * BLOCK, min(block * BLOCK + BLOCK, g.size)


@kernel({"contract"})
def _forward(start, stop, x, labels, weight, losses, largest, total, sums, g):
    """``sums`` gets each unit's sum of losses and of weights, and the number of pixels that count.

    One unit's scores come from memory while those of the unit before become exps.
    """
    scores, tops = np.empty((2, g.c, BLOCK), x.dtype), np.empty((2, BLOCK), x.dtype)
    label, behind = np.empty(BLOCK, np.int64), np.empty(BLOCK, x.dtype)
    (count, even, losses_here), weights = np.empty((3, BLOCK)), row_sum(weight)
    n, first, end = 0, 0, 0
    for unit in range(start, stop + 1):
        then, now = unit % 2, 1 - unit % 2
        next_n, next_first, next_end = span(unit, stop, g)
        size, largest_then, top = end - first, tops[then], tops[now]
        if next_end - next_first != size:
            take(x, next_n, next_first, next_end, scores[then], largest_then)
            exponentiate(scores[now], top, size)
        else:
            largest_then[:] = -np.inf
            for c in range(g.c):
                row, out, exps = x[next_n, c, next_first:next_end], scores[then, c], scores[now, c]
                for i in range(len(row)):
                    out[i] = row[i]
                    largest_then[i] = row[i] if row[i] > largest_then[i] else largest_then[i]
                    exps[i] = decay(exps[i] - top[i])
        if unit > start:
            summed, loss = total[n, first:end], losses_here[:size]
            put(top, largest[n, first:end])
            add_up(scores[now], summed)
            for i in range(size):
                even[i] = log(summed[i])
                one = count[i] * at_most(g.worst, even[i] + behind[i])
                loss[i] = one if label[i] >= 0 else 0
            if g.gamma > 0:
                for i in range(size):
                    if label[i] >= 0:
                        loss[i] *= focus(-at_label(decay(-behind[i]), summed[i]), g.gamma)
            if g.smoothing > 0:
                for i in range(size):
                    even[i] *= weights
                for c in range(g.c):
                    row = x[n, c, first:end]
                    for i in range(len(row)):
                        even[i] += weight[c] * (np.float64(top[i]) - row[i])
                for i in range(size):
                    mixed = (1 - g.smoothing) * loss[i] + g.smoothing / g.c * even[i]
                    loss[i] = mixed if label[i] >= 0 else 0
            if g.per_pixel:
                put(loss, losses[n, first:end])
            pixels = 0
            for i in range(size):
                pixels += label[i] >= 0
            sums[unit - 1, 0], sums[unit - 1, 1] = row_sum(loss), row_sum(count[:size])
            sums[unit - 1, 2] = pixels
        n, first, end = next_n, next_first, next_end
        here = labels[n, first:end]
        for i in range(len(here)):
            label[i] = class_of(here[i], g)
        for i in range(len(here)):
            known = max(label[i], 0)
            count[i] = weight[known] if label[i] >= 0 else 0
            behind[i] = largest_then[i] - scores[then, known, i]


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
            loss = (1 - g.smoothing) * count * at_most(g.worst, log(summed) + behind)
            loss *= focus(-at_label(decay(-behind), summed), g.gamma)
            if g.smoothing > 0:
                even = weights * log(summed)
                for c in range(g.c):
                    even += weight[c] * (np.float64(top) - x[n, c])
                loss += g.smoothing / g.c * even
        if g.per_pixel:
            losses[n] = loss
        sums[n, 0], sums[n, 1], sums[n, 2] = loss, count, label >= 0


@kernel({"contract"})
def _backward(start, stop, x, labels, weight, grads, largest, total, gx, g):
    exps, zero = np.empty((g.c, BLOCK), x.dtype), x.dtype.type(0)
    # rows of one array: a compiler asks of each array whether it overlaps with the others, and has
    # no vectors for a loop over too many
    name, score, scale, even = np.empty((4, BLOCK), x.dtype)
    label, grad, factor = np.empty(BLOCK, np.int64), np.empty(BLOCK), np.empty(BLOCK)
    weights = row_sum(weight)
    for unit in range(start, stop):
        n, first, end = span(unit, stop, g)
        top, summed = largest[n, first:end], total[n, first:end]
        for c in range(g.c):
            row, out = x[n, c, first:end], exps[c]
            for i in range(len(row)):
                out[i] = decay(row[i] - top[i])
        here = labels[n, first:end]
        spread(grads, n * g.size + first, grad[: len(here)])
        for i in range(len(here)):
            label[i] = class_of(here[i], g)
            name[i] = label[i]
        for i in range(len(here)):
            known = max(label[i], 0)
            factor[i] = grad[i] * weight[known] * (1 - g.smoothing) if label[i] >= 0 else 0
            even[i] = grad[i] * g.smoothing / g.c if label[i] >= 0 else 0
            score[i] = exps[known, i]
        if g.gamma > 0:
            for i in range(len(here)):
                if factor[i] != 0:
                    behind = top[i] - x[n, label[i], first + i]
                    wrong, loss = -at_label(score[i], summed[i]), log(summed[i]) + behind
                    factor[i] *= focused_slope(wrong, loss, g.gamma)
        for i in range(len(here)):
            both = factor[i] + even[i] * weights
            scale[i] = both / summed[i] if both != 0 else 0
        for i in range(len(here)):
            e = np.float64(score[i])
            score[i] = factor[i] * at_label(e, summed[i])
            if even[i] != 0:
                score[i] += even[i] * (e / summed[i] * weights - weight[label[i]])
        for c in range(g.c):
            row, out, class_ = exps[c], gx[n, c, first:end], x.dtype.type(c)
            for i in range(len(out)):
                value = row[i] * scale[i] - even[i] * weight[c]
                value = score[i] if name[i] == class_ else value
                out[i] = value if scale[i] != zero else zero  # whatever the exp


@kernel({"contract"})
def _backward_rows(start, stop, x, labels, weight, grads, largest, total, gx, g):
    weights = row_sum(weight)
    for n in range(start, stop):
        row, out, label, top = x[n], gx[n], class_of(labels[n], g), largest[n]
        grad = grads[n] if g.per_pixel else grads[0]
        even = grad * g.smoothing / g.c if label >= 0 else 0.0
        factor = grad * weight[label] * (1 - g.smoothing) if label >= 0 else 0.0
        both = factor + even * weights
        if both == 0:
            out[:] = 0
            continue
        e = decay(row[label] - top)
        share = at_label(e, total[n])
        if g.gamma > 0:
            factor *= focused_slope(-share, log(total[n]) - (row[label] - top), g.gamma)
            both = factor
        scale, less = x.dtype.type(both / total[n]), x.dtype.type(even)
        for c in range(len(row)):
            out[c] = decay(row[c] - top) * scale - less * weight[c]
        out[label] = factor * share + even * (e / total[n] * weights - weight[label])


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
    units = g.n * _blocks(g)
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
        launch(_backward, g.n * _blocks(g), x.size, x.reshape(planes), *given,
               grads, largest, total, gx.reshape(planes), g)  # fmt: skip


def _blocks(g: Geometry) -> int:
    return (g.size + BLOCK - 1) // BLOCK


def _labels(target: Array, g: Geometry) -> Array:
    """One integer type for the kernels, read-only as most targets are."""
    labels = target.reshape(g.n, g.size).astype(np.int64, copy=False)
    labels.flags.writeable = False
    return labels


def _weights(weight: Array | None, x: Array, g: Geometry) -> Array:
    return np.ones(g.c, x.dtype) if weight is None else weight.copy()
