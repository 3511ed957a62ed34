"""linear on the CPU: three products of matrices, and the sum of columns."""

from __future__ import annotations

import numpy as np

from numseg.kernels.conv.matmul import matmul
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.linear.geometry import Geometry
from numseg.typing import Array

BLOCK = 64
"""Columns that are summed side by side."""


@kernel()
def _add_bias(start, stop, b, y):
    """A unit is a row."""
    for row in range(start, stop):
        out = y[row]
        for o in range(len(b)):
            out[o] += b[o]


@kernel()
def _grad_b(start, stop, gy, gb):
    """A unit is a block of columns; a column is summed in order, in float64."""
    totals = np.empty(BLOCK)
    for unit in range(start, stop):
        out = gb[unit * BLOCK : (unit + 1) * BLOCK]
        totals[:] = 0
        for row in range(gy.shape[0]):
            part = gy[row, unit * BLOCK : (unit + 1) * BLOCK]
            for o in range(len(part)):
                totals[o] += part[o]
        for o in range(len(out)):
            out[o] = totals[o]


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Geometry) -> None:
    rows = y.reshape(g.rows, g.outputs)
    matmul(x.reshape(g.rows, g.inputs), w.T, rows)
    if b is not None:
        launch(_add_bias, g.rows, y.size, b, rows)


def backward(
    x: Array,
    w: Array,
    gy: Array,
    gx: Array | None,
    gw: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    rows, grads = x.reshape(g.rows, g.inputs), gy.reshape(g.rows, g.outputs)
    if gx is not None:
        matmul(grads, w, gx.reshape(g.rows, g.inputs))
    if gw is not None:
        matmul(grads.T, rows, gw)
    if gb is not None:
        launch(_grad_b, (g.outputs + BLOCK - 1) // BLOCK, gy.size, grads, gb)
