"""cross_entropy on the CPU.

A unit is a block of neighbouring pixels, so that loops over them are vectorised. Where x is (N, C),
and has no neighbours, it is one pixel with loops over its classes.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.elementary import exp, log
from numseg.kernels.jit import kernel, rule
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


@kernel({"contract"})
def _forward(start, stop, x, labels, weight, losses, largest, total, sums, g):
    """``sums`` gets each unit's sum of losses and of weights."""
    blocks = (g.size + BLOCK - 1) // BLOCK
    counts = np.empty(BLOCK)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        label, loss = labels[n, first:end], losses[n, first:end]
        top, summed = largest[n, first:end], total[n, first:end]
        column_statistics(x, n, first, end, top, summed, None)
        for i in range(len(loss)):
            loss[i] = log(summed[i])
        for i in range(len(loss)):
            if label[i] < 0:
                counts[i] = loss[i] = 0
            else:
                counts[i] = weight[label[i]]
                loss[i] = counts[i] * (loss[i] + (top[i] - x[n, label[i], first + i]))
        sums[unit, 0], sums[unit, 1] = row_sum(loss), row_sum(counts[: len(loss)])


@kernel({"contract"})
def _forward_rows(start, stop, x, labels, weight, losses, largest, total, sums):
    exps = np.empty(x.shape[1], x.dtype)
    for n in range(start, stop):
        top, summed = row_statistics(x[n], exps)
        largest[n], total[n] = top, summed
        label, count, loss = labels[n], 0.0, 0.0
        if label >= 0:
            count = np.float64(weight[label])
            loss = count * (log(summed) + (top - x[n, label]))
        losses[n], sums[n, 0], sums[n, 1] = loss, loss, count


@kernel({"contract"})
def _backward(start, stop, x, labels, weight, grads, largest, total, gx, g):
    blocks = (g.size + BLOCK - 1) // BLOCK
    scale, score = np.empty(BLOCK, x.dtype), np.empty(BLOCK, x.dtype)
    factor = np.empty(BLOCK)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        label, grad = labels[n, first:end], grads[n, first:end]
        top, summed = largest[n, first:end], total[n, first:end]
        for i in range(len(top)):
            factor[i] = grad[i] * weight[label[i]] if label[i] >= 0 else 0
            score[i] = x[n, max(label[i], 0), first + i]
        for i in range(len(top)):
            scale[i] = factor[i] / summed[i] if factor[i] != 0 else 0
        for c in range(g.c):
            row, out = x[n, c, first:end], gx[n, c, first:end]
            for i in range(len(row)):
                out[i] = exp(row[i] - top[i]) * scale[i] if scale[i] != 0 else 0
        for i in range(len(top)):
            score[i] = factor[i] * at_label(exp(score[i] - top[i]), summed[i])
        for i in range(len(top)):
            if factor[i] != 0:
                gx[n, label[i], first + i] = score[i]


@kernel({"contract"})
def _backward_rows(start, stop, x, labels, weight, grads, largest, total, gx):
    for n in range(start, stop):
        row, out, label = x[n], gx[n], labels[n]
        factor = grads[n] * weight[label] if label >= 0 else 0.0
        if factor == 0:
            out[:] = 0
            continue
        scale, top = x.dtype.type(factor / total[n]), largest[n]
        for c in range(len(row)):
            out[c] = exp(row[c] - top) * scale
        out[label] = factor * at_label(exp(row[label] - top), total[n])


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
               losses.reshape(-1), largest.reshape(-1), total.reshape(-1), sums)  # fmt: skip
    elif x.size:
        launch(_forward, units, x.size, x.reshape(g.n, g.c, g.size), *given,
               losses, largest, total, sums, g)  # fmt: skip
    loss, count = sums.sum(0)
    divisor[...] = count if g.mean else 1
    if g.per_pixel:
        y[...] = losses.reshape(y.shape)
    else:
        y[...] = loss / divisor if divisor != 0 else 0


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
               gx.reshape(rows))  # fmt: skip
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
