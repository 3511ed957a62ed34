"""upsample_bilinear2d on the CPU. A unit is a row of the output, and backward of the input."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.look_up import Reads, blend, reads
from numseg.kernels.parallel import launch
from numseg.kernels.simd import TARGET
from numseg.ops.upsample_bilinear2d import Geometry
from numseg.ops.upsample_bilinear2d.rules import clamped
from numseg.typing import Array

ROOM = TARGET.vector_bytes // 4
"""Behind a line: a vector, of the smaller numbers."""


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
def _forward(start, stop, x, y, rows, columns, vectors):
    oh, width = y.shape[1], x.shape[2]
    line = np.zeros(width + 1 + ROOM, x.dtype)
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        above, below = x[plane, rows.before[p]], x[plane, rows.after[p]]
        less, more = rows.less[p], rows.more[p]
        for q in range(width):
            line[q] = less * above[q] + more * below[q]
        line[width] = line[width - 1]
        out = y[plane, p]
        if len(vectors.start) > 0:
            blend(line, vectors, columns.less, columns.more, out)
            continue
        for q in range(len(out)):
            left, right = line[columns.before[q]], line[columns.after[q]]
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
    rows, columns = _rows(g, x.dtype), _columns(g, x.dtype)
    launch(_forward, g.n * g.c * g.oh, y.size, x.reshape(image), y.reshape(out), rows, *columns)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    rows, (columns, _) = _rows(g, gy.dtype), _columns(g, gy.dtype)
    launch(_backward, g.n * g.c * g.h, gx.size + 2 * gy.size, gy.reshape(out), gx.reshape(image),
           rows, columns)  # fmt: skip


def _rows(g: Geometry, dtype: Any) -> Taps:
    return _taps(g.h, g.oh, g.rows, g.fy, dtype)[0]


def _columns(g: Geometry, dtype: Any) -> tuple[Taps, Reads]:
    return _taps(g.w, g.ow, g.columns, g.fx, dtype)


@functools.lru_cache(maxsize=64)
def _taps(
    size: int, outputs: int, line: tuple[int, int, int, int], factor: float, dtype: Any
) -> tuple[Taps, Reads]:
    taps = Taps(*(np.empty(outputs, kind) for kind in (np.int64, np.int64, dtype, dtype)))
    launch(_fill, outputs, outputs, taps, size, line, factor)
    vectors = reads(taps.before, dtype.itemsize)
    for table in (*taps, *vectors):
        table.flags.writeable = False
    return taps, vectors
