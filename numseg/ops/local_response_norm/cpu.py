"""local_response_norm on the CPU. A unit is a block of neighbouring pixels, so that loops over a
row of the block are vectorised."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.ops.local_response_norm.geometry import Geometry
from numseg.ops.local_response_norm.rules import USUAL, any_power, usual_power
from numseg.typing import Array

BLOCK = 128
"""Pixels: of 100 channels, what backward keeps of them fits in the second-level cache."""


@kernel({"contract"})
def _forward(start, stop, x, y, g):
    blocks = (g.size + BLOCK - 1) // BLOCK
    scale, power = np.empty(BLOCK), np.empty(BLOCK)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        for c in range(g.c):
            row, out = x[n, c, first:end], y[n, c, first:end]
            _scales(x[n], c, first, end, scale, g)
            _powers(scale, power, len(row), g.beta)
            for i in range(len(row)):
                out[i] = row[i] * power[i]


@kernel({"contract"})
def _backward(start, stop, x, gy, gx, g):
    """``own``: what comes of a channel's own x; ``shared``: what it gives to those of its window,
    but for their x."""
    blocks = (g.size + BLOCK - 1) // BLOCK
    own, shared = np.empty((g.c, BLOCK)), np.empty((g.c, BLOCK))
    scale, power, total = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    factor = 2 * g.scale * g.beta
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * BLOCK, min(block * BLOCK + BLOCK, g.size)
        for c in range(g.c):
            row, grad = x[n, c, first:end], gy[n, c, first:end]
            _scales(x[n], c, first, end, scale, g)
            _powers(scale, power, len(row), g.beta)
            kept, given = own[c], shared[c]
            for i in range(len(row)):
                kept[i] = grad[i] * power[i]
                given[i] = kept[i] * row[i] / scale[i]
            if g.beta < 0:  # the power grows with the scale: infinity by infinity is no number
                _powers(scale, power, len(row), g.beta + 1)
                for i in range(len(row)):
                    given[i] = np.float64(grad[i]) * row[i] * power[i]
        for c in range(g.c):
            row, out, kept = x[n, c, first:end], gx[n, c, first:end], own[c]
            total[:] = 0
            for j in range(max(c - g.after, 0), min(c + g.before + 1, g.c)):
                given = shared[j]
                for i in range(len(row)):
                    total[i] += given[i]
            for i in range(len(row)):
                out[i] = kept[i] - factor * row[i] * total[i]


@rule
def _scales(image, c, first, end, scale, g):
    """Of channel ``c``, for the pixels from ``first`` on."""
    scale[:] = 0
    for j in range(max(c - g.before, 0), min(c + g.after + 1, g.c)):
        row = image[j, first:end]
        for i in range(len(row)):
            scale[i] += np.float64(row[i]) * np.float64(row[i])
    for i in range(len(scale)):
        scale[i] = g.k + g.scale * scale[i]


@rule
def _powers(scale, power, count, beta):
    if beta == USUAL:
        for i in range(count):
            power[i] = usual_power(scale[i])
    else:
        for i in range(count):
            power[i] = any_power(scale[i], beta)


def forward(x: Array, y: Array, g: Geometry) -> None:
    launch(_forward, _units(g), _work(g), _planes(x, g), _planes(y, g), g)


def backward(x: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        arrays = (_planes(array, g) for array in (x, gy, gx))
        launch(_backward, _units(g), 2 * _work(g), *arrays, g)


def _planes(array: Array, g: Geometry) -> Array:
    return array.reshape(g.n, g.c, g.size)


def _units(g: Geometry) -> int:
    return g.n * ceil_div(g.size, BLOCK)


def _work(g: Geometry) -> int:
    return g.n * g.c * g.size * (g.before + g.after + 4)
