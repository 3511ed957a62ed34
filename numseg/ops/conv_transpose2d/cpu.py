"""conv_transpose2d on the CPU: conv2d's kernels in the other direction.

The geometry is the convolution's, so our output is its x, and our input its y.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.conv2d import cpu as conv2d
from numseg.ops.conv_transpose2d.geometry import Geometry, counts
from numseg.typing import Array


@kernel()
def _add_bias(start, stop, b, y):
    for plane in range(start, stop):
        out, bias = y[plane], b[plane % len(b)]
        for i in range(len(out)):
            out[i] += bias


@kernel()
def _average(start, stop, sums, rows, columns, b, y):
    """A unit is a row of ``sums``, which may be y. In float64, so that it is rounded once."""
    for unit in range(start, stop):
        plane, p = divmod(unit, len(rows))
        total, out, bias = sums[plane, p], y[plane, p], np.float64(b[plane % len(b)])
        for q in range(len(out)):
            out[q] = total[q] / max(rows[p] * columns[q], 1) + bias


def _divide(sums: Array, b: Array | None, y: Array, g: Geometry) -> None:
    planes, sums = (g.n * g.c, g.h, g.w), sums.view()
    b = np.zeros(g.c, y.dtype) if b is None else b.view()
    sums.flags.writeable = b.flags.writeable = False  # one kernel, whatever they are
    launch(_average, g.n * g.c * g.h, y.size, sums.reshape(planes), *counts(g), b,
           y.reshape(planes))  # fmt: skip


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Geometry) -> None:
    conv2d.grad_x(w, x, y, g.convolution)
    if g.average:
        return _divide(y, b, y, g)
    if b is not None:
        launch(_add_bias, g.n * g.c, y.size, b, y.reshape(g.n * g.c, g.h * g.w))


def backward(
    x: Array,
    w: Array,
    gy: Array,
    gx: Array | None,
    gw: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    if gb is not None:
        conv2d.grad_b(gy, gb)
    if g.average:
        shares = np.empty_like(gy)
        _divide(gy, None, shares, g)
        shares.flags.writeable = False  # as gy is, or the kernels would be compiled again
        gy = shares
    if gx is not None:
        conv2d.forward(gy, w, None, gx, g.convolution)
    if gw is not None:
        conv2d.grad_w(gy, x, gw, g.convolution)
