"""pixel_shuffle2d on the CPU. A unit is a row of y: the rows of r channels of x, interleaved."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.ops.pixel_shuffle2d.geometry import Geometry
from numseg.typing import Array


@rule
def _source(row, g):
    """Where the first of a row's channels is in x, as a row."""
    plane, y = divmod(row, g.h * g.r)
    n, c = divmod(plane, g.c)
    p, i = divmod(y, g.r)
    return (n * g.c * g.r * g.r + c * g.channel + i * g.row) * g.h + p


@kernel()
def _forward(start, stop, x, y, g):
    for row in range(start, stop):
        first, out = _source(row, g), y[row]
        for j in range(g.r):
            values = x[first + j * g.column * g.h]
            for q in range(len(values)):
                out[q, j] = values[q]


@kernel()
def _backward(start, stop, gy, gx, g):
    for row in range(start, stop):
        first, grads = _source(row, g), gy[row]
        for j in range(g.r):
            out = gx[first + j * g.column * g.h]
            for q in range(len(out)):
                out[q] = grads[q, j]


def forward(x: Array, y: Array, g: Geometry) -> None:
    rows, small = g.n * g.c * g.h * g.r, (g.n * g.c * g.r * g.r * g.h, g.w)
    launch(_forward, rows, y.size, x.reshape(small), y.reshape(rows, g.w, g.r), g)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        rows, small = g.n * g.c * g.h * g.r, (g.n * g.c * g.r * g.r * g.h, g.w)
        launch(_backward, rows, gy.size, gy.reshape(rows, g.w, g.r), gx.reshape(small), g)
