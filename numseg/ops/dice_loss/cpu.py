"""dice_loss on the CPU. A unit is a block of neighbouring pixels: the activation, the sums and
their gradients are computed while its scores are in the cache, and nothing of it is stored."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.elementary import decay
from numseg.kernels.pointwise.losses import store
from numseg.kernels.reductions.softmax import BLOCK, exponentiate, load_scores, sum_columns
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.dice_loss.geometry import ACTIVATIONS, Geometry
from numseg.typing import Array

SIGMOID, SOFTMAX = ACTIVATIONS.index("sigmoid"), ACTIVATIONS.index("softmax")


@rule
def probabilities(x, labels, n, first, end, top, total, p, g):
    """Fill ``p``: (C, pixels), 0 in the pixels that are ignored."""
    one = x.dtype.type(1)
    if g.activation == SOFTMAX:
        load_scores(x, n, first, end, p, top)
        exponentiate(p, top, x, n, first, end)
        sum_columns(p, end - first, total)
    for c in range(g.c):
        row, out = x[n, c, first:end], p[c]
        if g.activation == SOFTMAX:
            for i in range(len(row)):
                out[i] /= total[i]
        elif g.activation == SIGMOID:
            for i in range(len(row)):
                e = decay(-abs(row[i]))
                out[i] = (e if row[i] < 0 else one) / (one + e)
        else:
            for i in range(len(row)):  # an assignment of arrays would take 2 seconds to compile
                out[i] = row[i]
        if g.ignores:
            label = labels[n, first:end]
            for i in range(len(label)):
                out[i] = 0 if label[i] < 0 else out[i]


@rule
def mask(labels, masks, n, c, first, end, out, g):
    """Fill ``out`` with the target of a class."""
    if g.labels:
        label = labels[n, first:end]
        for i in range(len(label)):
            out[i] = 1 if label[i] == c else 0
    else:
        row = masks[n, c, first:end]
        for i in range(len(row)):
            out[i] = row[i]


@kernel({"contract"})
def _forward(start, stop, x, labels, masks, sums, g):
    """``sums`` gets each unit's sums of p t, p and t, or their squares."""
    blocks = (g.size + BLOCK - 1) // BLOCK
    top, total, p = np.empty(BLOCK, x.dtype), np.empty(BLOCK), np.empty((g.c, BLOCK), x.dtype)
    t, terms = np.empty(BLOCK, x.dtype), np.empty((3, BLOCK))
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        size = end - first
        probabilities(x, labels, n, first, end, top, total, p, g)
        for c in range(g.c):
            part = p[c]
            mask(labels, masks, n, c, first, end, t, g)
            for i in range(size):
                terms[0, i] = part[i] * t[i]
                terms[1, i] = part[i] * part[i] if g.squared else part[i]
                terms[2, i] = t[i] * t[i] if g.squared else t[i]
            for k in range(3):
                sums[unit, c, k] = row_sum(terms[k, :size])


@kernel({"contract"})
def _backward(start, stop, x, labels, masks, of_both, of_size, gx, g):
    """``of_both`` and ``of_size``: gradients of the sums of p t, and of p or its square."""
    blocks = (g.size + BLOCK - 1) // BLOCK
    top, total, p = np.empty(BLOCK, x.dtype), np.empty(BLOCK), np.empty((g.c, BLOCK), x.dtype)
    t, grad, dot = np.empty(BLOCK, x.dtype), np.empty((g.c, BLOCK), x.dtype), np.empty(BLOCK)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        probabilities(x, labels, n, first, end, top, total, p, g)
        dot[:] = 0
        for c in range(g.c):
            part, gp, a, b = p[c], grad[c], of_both[n, c], of_size[n, c]
            mask(labels, masks, n, c, first, end, t, g)
            for i in range(end - first):
                gp[i] = a * t[i] + (2 * b * part[i] if g.squared else b)
                dot[i] += gp[i] * part[i]
        for c in range(g.c):
            part, gp, out = p[c], grad[c], gx[n, c, first:end]
            for i in range(len(out)):
                if g.activation == SOFTMAX:
                    out[i] = part[i] * (gp[i] - dot[i])
                elif g.activation == SIGMOID:
                    out[i] = gp[i] * part[i] * (1 - part[i])
                else:
                    out[i] = gp[i]
            if g.ignores:
                label = labels[n, first:end]
                for i in range(len(label)):
                    out[i] = 0 if label[i] < 0 else out[i]


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def forward(x: Array, target: Array, y: Array, sums: Array, g: Geometry) -> None:
    blocks = -(-g.size // BLOCK)
    parts = np.zeros((g.n * blocks, g.c, 3))
    launch(_forward, len(parts), 8 * x.size, x.reshape(g.n, g.c, g.size), *_target(target, x, g),
           parts, g)  # fmt: skip
    sums[...] = parts.reshape(g.n, blocks, g.c, 3).sum(1)
    above, below = _quotient(sums, g)
    losses = 1 - above / below
    store(y, losses.reshape(y.shape) if g.each else losses.sum() / g.divisor)


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def backward(
    x: Array, target: Array, sums: Array, gy: Array, gx: Array | None, g: Geometry
) -> None:
    if gx is None or not x.size:
        return
    above, below = _quotient(sums, g)
    if g.each:
        gy = gy.reshape(above.shape)
    of_both = -2 * gy.astype(np.float64) / g.divisor / below
    of_size = -0.5 * of_both * (above / below)
    both, size = (np.broadcast_to(a, (g.n, g.c)).copy() for a in (of_both, of_size))
    planes = (g.n, g.c, g.size)
    launch(_backward, g.n * -(-g.size // BLOCK), 10 * x.size, x.reshape(planes),
           *_target(target, x, g), both, size, gx.reshape(planes), g)  # fmt: skip


def _quotient(sums: Array, g: Geometry) -> tuple[Array, Array]:
    """What is above and below the bar: (N or 1, C or 1)."""
    gone = tuple(axis for axis, summed in enumerate((g.batch, g.micro)) if summed)
    both, predicted, wanted = np.moveaxis(sums.sum(gone, keepdims=True), -1, 0)
    return 2 * both + g.smooth_nr, predicted + wanted + g.smooth_dr


def _target(target: Array, x: Array, g: Geometry) -> tuple[Array, Array]:
    """Labels, of one integer type and -1 where ignored, and masks; the other is empty."""
    if not g.labels:
        return np.empty((0, 0), np.int64), target.reshape(g.n, g.c, g.size)
    labels = target.reshape(g.n, g.size).astype(np.int64)
    if g.ignores:
        labels[labels == g.ignore_index] = -1
    return labels, np.empty((0, 0, 0), x.dtype)
