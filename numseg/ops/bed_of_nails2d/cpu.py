"""bed_of_nails2d on the CPU. A unit is a row of the output, and backward of the input."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.bed_of_nails2d.geometry import Geometry
from numseg.typing import Array


@kernel()
def _forward(start, stop, x, y):
    """``y`` in cells: (rows, sy, w, sx)."""
    for unit in range(start, stop):
        row, between = divmod(unit, y.shape[1])
        out = y[row, between]
        out[:] = 0
        if between == 0:
            values = x[row]
            for q in range(len(values)):
                out[q, 0] = values[q]


@kernel()
def _backward(start, stop, gy, gx):
    for row in range(start, stop):
        grads, out = gy[row, 0], gx[row]
        for q in range(len(out)):
            out[q] = grads[q, 0]


def forward(x: Array, y: Array, g: Geometry) -> None:
    rows = g.n * g.c * g.h
    cells = (rows, g.sy, g.w, g.sx)
    launch(_forward, rows * g.sy, y.size, x.reshape(rows, g.w), y.reshape(cells))


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    rows = g.n * g.c * g.h
    cells = (rows, g.sy, g.w, g.sx)
    launch(_backward, rows, gx.size, gy.reshape(cells), gx.reshape(rows, g.w))
