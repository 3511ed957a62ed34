"""bed_of_nails2d on the CPU. A unit is a row of the output, and backward of the input."""

from __future__ import annotations

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.bed_of_nails2d import Geometry
from numseg.typing import Array


@kernel()
def _forward(start, stop, x, y, g):
    for unit in range(start, stop):
        row, between = divmod(unit, g.sy)
        out = y[unit]
        for q in range(len(out)):
            out[q] = 0
        if between == 0:
            values = x[row]
            for q in range(g.w):
                out[q * g.sx] = values[q]


@kernel()
def _backward(start, stop, gy, gx, g):
    for unit in range(start, stop):
        grads, out = gy[unit * g.sy], gx[unit]
        for q in range(g.w):
            out[q] = grads[q * g.sx]


def forward(x: Array, y: Array, g: Geometry) -> None:
    rows = g.n * g.c * g.h
    launch(_forward, rows * g.sy, y.size, x.reshape(rows, g.w),
           y.reshape(rows * g.sy, g.w * g.sx), g)  # fmt: skip


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    rows = g.n * g.c * g.h
    launch(_backward, rows, gx.size, gy.reshape(rows * g.sy, g.w * g.sx), gx.reshape(rows, g.w), g)
