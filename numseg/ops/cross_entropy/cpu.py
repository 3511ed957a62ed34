"""cross_entropy on the CPU.

A unit is a block of neighbouring pixels, so that loops over them are vectorised. Where x is (N, C),
and has no neighbours, it is one pixel with loops over its classes.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.elementary import exp, log
from numseg.kernels.jit import kernel, rule
from numseg.kernels.losses import power, store, times
from numseg.kernels.parallel import launch
from numseg.kernels.softmax import BLOCK, column_statistics, row_statistics
from numseg.kernels.sums import row_sum
from numseg.ops.cross_entropy import Geometry
from numseg.typing import Array


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


@kernel({"contract"})
def _forward(start, stop, x, labels, weight, losses, largest, total, sums, g):
    """``sums`` gets each unit's sum of losses and of weights."""
    blocks = (g.size + BLOCK - 1) // BLOCK
    counts, even = np.empty(BLOCK), np.empty(BLOCK)
    spread, weights = g.smoothing / g.c, row_sum(weight)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        label, loss = labels[n, first:end], losses[n, first:end]
        top, summed = largest[n, first:end], total[n, first:end]
        column_statistics(x, n, first, end, top, summed, None)
        for i in range(len(loss)):
            loss[i] = log(summed[i])
        if g.smoothing > 0:
            for i in range(len(loss)):
                even[i] = weights * loss[i]
            for c in range(g.c):
                row = x[n, c, first:end]
                for i in range(len(row)):
                    even[i] += weight[c] * (np.float64(top[i]) - row[i])
        for i in range(len(loss)):
            if label[i] < 0:
                counts[i] = loss[i] = even[i] = 0
            else:
                counts[i] = weight[label[i]]
                behind = top[i] - x[n, label[i], first + i]
                loss[i] = counts[i] * at_most(g.worst, loss[i] + behind)
                if g.gamma > 0:
                    loss[i] *= focus(-at_label(exp(-behind), summed[i]), g.gamma)
        if g.smoothing > 0:
            for i in range(len(loss)):
                loss[i] = (1 - g.smoothing) * loss[i] + spread * even[i]
        sums[unit, 0], sums[unit, 1] = row_sum(loss), row_sum(counts[: len(loss)])


@kernel({"contract"})
def _forward_rows(start, stop, x, labels, weight, losses, largest, total, sums, g):
    exps = np.empty(x.shape[1], x.dtype)
    spread, weights = g.smoothing / g.c, row_sum(weight)
    for n in range(start, stop):
        top, summed = row_statistics(x[n], exps)
        largest[n], total[n] = top, summed
        label, count, loss = labels[n], 0.0, 0.0
        if label >= 0:
            count = np.float64(weight[label])
            behind = top - x[n, label]
            loss = (1 - g.smoothing) * count * at_most(g.worst, log(summed) + behind)
            loss *= focus(-at_label(exp(-behind), summed), g.gamma)
            if g.smoothing > 0:
                even = weights * log(summed)
                for c in range(g.c):
                    even += weight[c] * (np.float64(top) - x[n, c])
                loss += spread * even
        losses[n], sums[n, 0], sums[n, 1] = loss, loss, count


@kernel({"contract"})
def _backward(start, stop, x, labels, weight, grads, largest, total, gx, g):
    blocks = (g.size + BLOCK - 1) // BLOCK
    scale, score = np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype)
    factor, even = np.empty(BLOCK), np.empty(BLOCK, x.dtype)
    spread, weights = g.smoothing / g.c, row_sum(weight)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        label, grad = labels[n, first:end], grads[n, first:end]
        top, summed = largest[n, first:end], total[n, first:end]
        for i in range(len(top)):
            factor[i] = grad[i] * weight[label[i]] * (1 - g.smoothing) if label[i] >= 0 else 0
            even[i] = grad[i] * spread if label[i] >= 0 else 0
            score[i] = x[n, max(label[i], 0), first + i] - top[i]
        if g.gamma > 0:
            for i in range(len(top)):
                wrong, loss = -at_label(exp(score[i]), summed[i]), log(summed[i]) - score[i]
                factor[i] = factor[i] * focused_slope(wrong, loss, g.gamma) if factor[i] else 0
        for i in range(len(top)):
            both = factor[i] + even[i] * weights
            scale[i] = both / summed[i] if both != 0 else 0
        for c in range(g.c):
            row, out = x[n, c, first:end], gx[n, c, first:end]
            for i in range(len(row)):
                value = exp(row[i] - top[i]) * scale[i] - even[i] * weight[c]
                out[i] = value if scale[i] != 0 else 0
        for i in range(len(top)):
            e = exp(score[i])
            score[i] = factor[i] * at_label(e, summed[i])
            if even[i] != 0:
                score[i] += even[i] * (e / summed[i] * weights - weight[label[i]])
        for i in range(len(top)):
            if scale[i] != 0:
                gx[n, label[i], first + i] = score[i]


@kernel({"contract"})
def _backward_rows(start, stop, x, labels, weight, grads, largest, total, gx, g):
    weights = row_sum(weight)
    for n in range(start, stop):
        row, out, label, top = x[n], gx[n], labels[n], largest[n]
        even = grads[n] * g.smoothing / g.c if label >= 0 else 0.0
        factor = grads[n] * weight[label] * (1 - g.smoothing) if label >= 0 else 0.0
        both = factor + even * weights
        if both == 0:
            out[:] = 0
            continue
        e = exp(row[label] - top)
        share = at_label(e, total[n])
        if g.gamma > 0:
            factor *= focused_slope(-share, log(total[n]) - (row[label] - top), g.gamma)
            both = factor
        scale, less = x.dtype.type(both / total[n]), x.dtype.type(even)
        for c in range(len(row)):
            out[c] = exp(row[c] - top) * scale - less * weight[c]
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
    losses, sums = np.zeros((g.n, g.size)), np.zeros((units, 2))
    given = _labels(target, g), _weights(weight, x, g)
    if x.size and g.size == 1:
        launch(_forward_rows, g.n, x.size, x.reshape(g.n, g.c), given[0].reshape(-1), given[1],
               losses.reshape(-1), largest.reshape(-1), total.reshape(-1), sums, g)  # fmt: skip
    elif x.size:
        launch(_forward, units, x.size, x.reshape(g.n, g.c, g.size), *given,
               losses, largest, total, sums, g)  # fmt: skip
    loss, count = sums.sum(0)
    divisor[...] = count if g.mean else g.divisor
    if g.valid:
        divisor[...] = max(np.count_nonzero(given[0] >= 0), 1)
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
    grads = np.empty((g.n, g.size))
    if g.per_pixel:
        grads[...] = gy.reshape(grads.shape)
    else:
        grads[...] = gy / divisor if divisor != 0 else 0
    given = _labels(target, g), _weights(weight, x, g)
    if g.size == 1:
        rows = (g.n, g.c)
        launch(_backward_rows, g.n, x.size, x.reshape(rows), given[0].reshape(-1), given[1],
               grads.reshape(-1), largest.reshape(-1), total.reshape(-1),
               gx.reshape(rows), g)  # fmt: skip
    else:
        planes = (g.n, g.c, g.size)
        launch(_backward, g.n * _blocks(g), x.size, x.reshape(planes), *given,
               grads, largest, total, gx.reshape(planes), g)  # fmt: skip


def _blocks(g: Geometry) -> int:
    return (g.size + BLOCK - 1) // BLOCK


def _labels(target: Array, g: Geometry) -> Array:
    """One integer type for the kernels, and a negative number for what is ignored, or became no
    label because the caller wrote to the target after forward had checked it."""
    labels = target.reshape(g.n, g.size).astype(np.int64)
    if g.ignores:
        labels[labels == g.ignore_index] = -1
    labels[labels >= g.c] = -1
    return labels


def _weights(weight: Array | None, x: Array, g: Geometry) -> Array:
    return np.ones(g.c, x.dtype) if weight is None else weight.copy()
