"""l2_norm on the CPU. A unit is a block of neighbouring pixels, so that loops over a row of the
block are vectorised; in the weight's gradient it is a channel."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.softmax import WIDE
from numseg.kernels.reductions.sums import row_triple
from numseg.ops.l2_norm.geometry import Geometry
from numseg.ops.l2_norm.rules import inverse, pull
from numseg.typing import Array


@kernel({"contract"})
def _forward(start, stop, x, weight, y, norm, g):
    blocks = (g.size + WIDE - 1) // WIDE
    total = np.empty(WIDE)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * WIDE, min(block * WIDE + WIDE, g.size)
        total[:] = 0
        for c in range(g.c):
            row = x[n, c, first:end]
            for i in range(len(row)):
                total[i] += np.float64(row[i]) * np.float64(row[i])
        norms = norm[n, first:end]
        for i in range(len(norms)):
            norms[i] = np.sqrt(total[i])
            total[i] = inverse(norms[i], g.eps, g.rule)
        for c in range(g.c):
            row, out, scale = x[n, c, first:end], y[n, c, first:end], np.float64(weight[c])
            for i in range(len(row)):
                out[i] = row[i] * total[i] * scale


@kernel({"contract"})
def _backward(start, stop, x, weight, norm, gy, gx, g):
    blocks = (g.size + WIDE - 1) // WIDE
    over_d, drag = np.empty(WIDE), np.empty(WIDE)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        first, end = block * WIDE, min(block * WIDE + WIDE, g.size)
        drag[:] = 0
        for c in range(g.c):
            row, grad, scale = x[n, c, first:end], gy[n, c, first:end], np.float64(weight[c])
            for i in range(len(row)):
                drag[i] += row[i] * (grad[i] * scale)
        norms = norm[n, first:end]
        for i in range(len(norms)):
            over_d[i] = inverse(norms[i], g.eps, g.rule)
            drag[i] *= pull(norms[i], g.eps, g.rule)
        for c in range(g.c):
            row, grad, scale = x[n, c, first:end], gy[n, c, first:end], np.float64(weight[c])
            out = gx[n, c, first:end]
            for i in range(len(row)):
                out[i] = grad[i] * scale * over_d[i] - row[i] * drag[i]


@kernel({"contract"})
def _backward_weight(start, stop, x, norm, gy, gw, g):
    over_d = np.empty(g.size)
    totals = np.zeros(stop - start)
    for n in range(g.n):
        for i in range(g.size):
            over_d[i] = inverse(norm[n, i], g.eps, g.rule)
        for c in range(start, stop):
            totals[c - start] += row_triple(x[n, c], gy[n, c], over_d)
    for c in range(start, stop):
        gw[c] = totals[c - start]


def forward(x: Array, weight: Array | None, y: Array, norm: Array, g: Geometry) -> None:
    launch(_forward, _units(g), 2 * x.size, _planes(x, g), _weight(weight, x, g), _planes(y, g),
           norm.reshape(g.n, g.size), g)  # fmt: skip


def backward(
    x: Array, weight: Array | None, norm: Array, gy: Array, gx: Array | None, gw: Array | None,
    g: Geometry,
) -> None:  # fmt: skip
    norm = norm.reshape(g.n, g.size)
    if gx is not None:
        launch(_backward, _units(g), 2 * x.size, _planes(x, g), _weight(weight, x, g), norm,
               _planes(gy, g), _planes(gx, g), g)  # fmt: skip
    if gw is not None:
        launch(_backward_weight, g.c, x.size, _planes(x, g), norm, _planes(gy, g), gw, g)


def _planes(array: Array, g: Geometry) -> Array:
    return array.reshape(g.n, g.c, g.size)


def _units(g: Geometry) -> int:
    return g.n * ((g.size + WIDE - 1) // WIDE)


def _weight(given: Array | None, x: Array, g: Geometry) -> Array:
    """Read-only as given ones are, so that the kernel is compiled once."""
    if given is None:
        given = np.ones(g.c, x.dtype)
        given.flags.writeable = False
    return given
