"""nll_loss on the CPU. A unit is a block of neighbouring pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.losses import store
from numseg.ops.cross_entropy.cpu import class_of
from numseg.ops.nll_loss.geometry import Geometry
from numseg.typing import Array

BLOCK = 1024
"""Pixels of a unit, whose losses are one addend of the sum."""


@kernel()
def _forward(start, stop, x, labels, weight, losses, sums, g):
    """``sums`` gets each unit's sum of losses and of weights."""
    blocks = (g.size + BLOCK - 1) // BLOCK
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        total, counts = 0.0, 0.0
        for pixel in range(block * BLOCK, min((block + 1) * BLOCK, g.size)):
            label, loss = class_of(labels[n, pixel], g), 0.0
            if label >= 0:
                count = np.float64(weight[label])
                loss = -count * x[n, label, pixel]
                counts += count
            if g.per_pixel:
                losses[n, pixel] = loss
            total += loss
        sums[unit, 0], sums[unit, 1] = total, counts


@kernel()
def _backward(start, stop, labels, weight, grads, gx, g):
    blocks = (g.size + BLOCK - 1) // BLOCK
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min((block + 1) * BLOCK, g.size)
        for c in range(g.c):
            gx[n, c, first:end] = 0
        for pixel in range(first, end):
            label = class_of(labels[n, pixel], g)
            if label >= 0:
                grad = grads[n * g.size + pixel] if g.per_pixel else grads[0]
                gx[n, label, pixel] = -np.float64(weight[label]) * grad


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def forward(
    x: Array, target: Array, weight: Array | None, y: Array, divisor: Array, g: Geometry
) -> None:
    units = g.n * -(-g.size // BLOCK)
    losses, sums = np.zeros((g.n, g.size) if g.per_pixel else (0, 0)), np.zeros((units, 2))
    planes = x.reshape(g.n, g.c, g.size)
    launch(_forward, units, x.size, planes, *_pixels(target, weight, x.dtype, g), losses, sums, g)
    total, counts = sums.sum(0)
    divisor[...] = counts if g.mean else 1
    if g.per_pixel:
        store(y, losses.reshape(y.shape))
    elif divisor != 0:
        store(y, total / divisor)
    else:
        y[...] = np.nan if g.empty_is_nan else 0


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def backward(
    target: Array,
    weight: Array | None,
    divisor: Array,
    gy: Array,
    gx: Array | None,
    g: Geometry,
) -> None:
    if gx is None:
        return
    grads = gy.reshape(-1).astype(np.float64)
    if not g.per_pixel:
        grads[0] = grads[0] / divisor if divisor != 0 else 0
    units = g.n * -(-g.size // BLOCK)
    pixels = _pixels(target, weight, gx.dtype, g)
    launch(_backward, units, gx.size, *pixels, grads, gx.reshape(g.n, g.c, g.size), g)


def _pixels(
    target: Array, weight: Array | None, dtype: np.dtype[Any], g: Geometry
) -> tuple[Array, Array]:
    """Labels of the one integer type that kernels take, and the weights of classes."""
    labels = target.reshape(g.n, g.size).astype(np.int64, copy=False)
    labels.flags.writeable = False
    return labels, np.ones(g.c, dtype) if weight is None else weight.copy()
