"""upsample_bilinear2d on the CPU. A unit is a row of the output, and backward of the input."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.upsample_bilinear2d import Geometry
from numseg.ops.upsample_bilinear2d.rules import clamped
from numseg.typing import Array


class Taps(NamedTuple):
    """Along one axis, for each output pixel: the two pixels it reads, and their weights."""

    before: Array
    after: Array
    less: Array
    """Of the pixel before."""
    more: Array
    """Of the pixel after."""


@kernel()
def _fill(start, stop, taps, size, line, factor):
    for o in range(start, stop):
        before, part = clamped(o, line, factor, size)
        taps.before[o] = before
        taps.after[o] = min(before + 1, size - 1)
        taps.less[o] = 1 - part
        taps.more[o] = part


@kernel()
def _forward(start, stop, x, y, rows, columns):
    oh = y.shape[1]
    blend = np.empty(x.shape[2], x.dtype)
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        above, below = x[plane, rows.before[p]], x[plane, rows.after[p]]
        less, more = rows.less[p], rows.more[p]
        for q in range(len(blend)):
            blend[q] = less * above[q] + more * below[q]
        out = y[plane, p]
        for q in range(len(out)):
            left, right = blend[columns.before[q]], blend[columns.after[q]]
            out[q] = columns.less[q] * left + columns.more[q] * right


@kernel()
def _backward(start, stop, gy, gx, rows, columns):
    h = gx.shape[1]
    blend = np.empty(gy.shape[2], gy.dtype)
    for unit in range(start, stop):
        plane, r = divmod(unit, h)
        blend[:] = 0
        # output rows that read row r after, then those that read it before
        first, middle, end = np.searchsorted(rows.before, np.array([r - 1, r, r + 1]))
        for p in range(first, end):
            grads, weight = gy[plane, p], rows.more[p] if p < middle else rows.less[p]
            for q in range(len(blend)):
                blend[q] += weight * grads[q]
        out = gx[plane, r]
        out[:] = 0
        for q in range(len(blend)):
            out[columns.before[q]] += columns.less[q] * blend[q]
            out[columns.after[q]] += columns.more[q] * blend[q]


def forward(x: Array, y: Array, g: Geometry) -> None:
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    launch(_forward, g.n * g.c * g.oh, y.size, x.reshape(image), y.reshape(out),
           *_taps(g, x.dtype))  # fmt: skip


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    launch(_backward, g.n * g.c * g.h, gx.size + 2 * gy.size, gy.reshape(out), gx.reshape(image),
           *_taps(g, gy.dtype))  # fmt: skip


def _taps(g: Geometry, dtype: Any) -> tuple[Taps, Taps]:
    rows = Taps(*(np.empty(g.oh, kind) for kind in (np.int64, np.int64, dtype, dtype)))
    columns = Taps(*(np.empty(g.ow, kind) for kind in (np.int64, np.int64, dtype, dtype)))
    launch(_fill, g.oh, g.oh, rows, g.h, g.rows, g.fy)
    launch(_fill, g.ow, g.ow, columns, g.w, g.columns, g.fx)
    return rows, columns
