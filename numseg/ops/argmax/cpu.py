"""argmax and argmin on the CPU. A unit is a block of neighbouring results where there are axes
behind, one result where there are none."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.run import run
from numseg.kernels.machine.threads import launch
from numseg.ops.argmax.geometry import Geometry
from numseg.ops.argmax.rules import wins
from numseg.typing import Array

BLOCK = 512
"""Neighbours that are compared at once: they stay in the first-level cache."""


@kernel()
def _along(start, stop, x, y, g):
    for unit in range(start, stop):
        row = run(x, unit * g.size, g.size)
        best, place = -row[0] if g.least else row[0], 0
        for k in range(1, len(row)):
            value = -row[k] if g.least else row[k]
            if wins(value, best, g.last):
                best, place = value, k
        y[unit] = place


@kernel()
def _across(start, stop, x, y, g):
    blocks = (g.inner + BLOCK - 1) // BLOCK
    best = np.empty(BLOCK, x.dtype)
    for unit in range(start, stop):
        number, block = divmod(unit, blocks)
        first = block * BLOCK
        count = min(BLOCK, g.inner - first)
        out = run(y, number * g.inner + first, count)
        row = run(x, number * g.size * g.inner + first, count)
        for i in range(count):
            best[i], out[i] = -row[i] if g.least else row[i], 0
        for k in range(1, g.size):
            row = run(x, (number * g.size + k) * g.inner + first, count)
            for i in range(count):
                value = -row[i] if g.least else row[i]
                won = wins(value, best[i], g.last)
                best[i] = value if won else best[i]
                out[i] = k if won else out[i]


def forward(x: Array, y: Array, g: Geometry) -> None:
    loop = _along if g.inner == 1 else _across
    units = g.outer * -(-g.inner // BLOCK)
    launch(loop, units, x.size, x.reshape(-1), y.reshape(-1), g)
