"""upsample_bilinear2d on the CPU."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.scratch import aligned
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose_square
from numseg.kernels.machine.vector_copy import (
    NONTEMPORAL_BYTES,
    blend_rows,
    clear_rows,
    copy_nontemporal,
    copy_row,
    copy_rows,
    fence_nontemporal,
)
from numseg.kernels.sampling.filter_taps import along
from numseg.kernels.sampling.linear_rows import Reads, blend, reads, sharer
from numseg.kernels.sampling.separable import apply
from numseg.ops.upsample_bilinear2d.geometry import Geometry
from numseg.ops.upsample_bilinear2d.rules import clamped
from numseg.typing import Array

ROOM = TARGET.vector_bytes // 4
"""Behind a line: a vector, of the smaller numbers."""

LONG = 2048
"""Bytes of a row of a large result that is written past the caches. (Shorter ones are computed no
faster than the caches take them.)"""

_share, _share_two = sharer(1), sharer(2)
_sum = micro_kernel(1, 1)


class Taps(NamedTuple):
    """Along one axis, for each output pixel: the two pixels it reads, and their weights."""

    before: Array
    after: Array
    less: Array
    """Of the pixel before."""
    more: Array
    """Of the pixel after."""
    first: Array
    """For each input pixel, the first output pixel from there on; and where there is no more."""


@kernel()
def _fill(start, stop, taps, size, line, factor):
    for o in range(start, stop):
        before, part = clamped(o, line, factor, size)
        taps.before[o] = before
        taps.after[o] = min(before + 1, size - 1)
        taps.less[o] = 1 - part
        taps.more[o] = part


@kernel()
def _forward(start, stop, x, y, rows, columns, vectors, large, g):
    """A unit is a row of y, a blend of two rows of x as they are stretched. These are kept, one of
    an even number and one of an odd one: the next units read them too, or one of them."""
    line = np.zeros(g.w + 1 + ROOM, x.dtype)
    stretched = aligned(np.empty(2 * g.ow + ROOM, x.dtype))
    blended = aligned(np.empty(g.ow + ROOM, x.dtype))
    kept = np.full(2, -1)
    plane, p = divmod(start, g.oh)
    for unit in range(start, stop):
        for r in (rows.before[p], rows.after[p]):
            row, slot = plane * g.h + r, r & 1
            if kept[slot] != row:
                kept[slot] = row
                copy_row(x, row * g.w, line, 0, g.w)
                line[g.w] = line[g.w - 1]
                _stretch(line, columns, vectors, stretched[slot * g.ow : (slot + 1) * g.ow])
        a, b = (rows.before[p] & 1) * g.ow, (rows.after[p] & 1) * g.ow
        if large:
            blend_rows(stretched, a, b, rows.less[p], rows.more[p], blended, 0, g.ow)
            copy_nontemporal(blended, 0, y, unit * g.ow, g.ow)
        else:
            blend_rows(stretched, a, b, rows.less[p], rows.more[p], y, unit * g.ow, g.ow)
        p += 1
        if p == g.oh:
            plane, p = plane + 1, 0
    fence_nontemporal()


@rule
def _stretch(line, columns, vectors, out):
    if len(vectors.start) > 0:
        blend(line, vectors, columns.less, columns.more, out)
        return
    for q in range(len(out)):
        left, right = line[columns.before[q]], line[columns.after[q]]
        out[q] = columns.less[q] * left + columns.more[q] * right


@kernel()
def _backward(start, stop, gy, gx, rows, columns, origin, g):
    """A unit is as many rows of gx as a vector has lanes. Rows of gy are blended along memory, and
    then the blends laid side by side: what the pixels of a column get is a sum of vectors."""
    lanes = len(origin)
    width, span = lanes * -(-g.ow // lanes), lanes * -(-g.w // lanes)
    blends = aligned(np.empty((lanes + 1) * width + lanes, gy.dtype))
    turned = aligned(np.empty((max(width, span) + 1) * lanes, gy.dtype))
    sums = aligned(np.zeros((span + 1) * lanes, gy.dtype))
    for unit in range(start, stop):
        first = unit * lanes
        count = min(lanes, g.n * g.c * g.h - first)
        clear_rows(blends, 0, 0, 1, lanes * width)
        t = 0
        while t < count:
            plane, r = divmod(first + t, g.h)
            height = min(g.h - r, count - t)
            _blend_rows(gy, plane, r, height, blends[t * width :], (lanes - t) * width, width,
                        turned, rows, g)  # fmt: skip
            t += height
        for q in range(0, width, lanes):
            transpose_square(blends, q, width, turned, q * lanes, lanes)
        for c in range(g.w):
            k0, k1 = columns.first[c], columns.first[c + 1]
            _sum(columns.weight, origin, 0, turned, origin, 0, columns.steps, k0, k1,
                 sums[c * lanes :], origin, 0, origin, 0, None)  # fmt: skip
        for c in range(0, span, lanes):
            transpose_square(sums, c * lanes, lanes, turned, c, span)
        copy_rows(turned, 0, span, gx, first * g.w, g.w, count, g.w)


@rule
def _blend_rows(gy, plane, r, height, blends, spare, width, line, rows, g):
    """What input rows ``r, r + 1 ...`` get of the output rows that read them, which are read once.
    What the row before them gets goes to ``spare``. What the row behind them gets goes behind
    theirs: there is no such row, unless the unit ends here."""
    p, end = rows.first[max(r - 1, 0)], rows.first[r + height]
    while p < end:
        a = (rows.before[p] - r) * width if rows.before[p] >= r else spare
        b = (rows.after[p] - r) * width
        at = (plane * g.oh + p) * g.ow
        two = p + 1 < end and rows.before[p + 1] == rows.before[p]
        if two and at + 2 * g.ow + width <= len(gy):
            _share_two(gy, at, g.ow, rows.less, rows.more, p, blends, a, b, g.ow)
            p += 2
        else:  # from a line that may be read beyond its end
            copy_row(gy, at, line, 0, g.ow)
            _share(line, 0, 0, rows.less, rows.more, p, blends, a, b, g.ow)
            p += 1


def forward(x: Array, y: Array, g: Geometry) -> None:
    if g.antialias:
        apply(x, y, *along(g, x.dtype))
        return
    rows, columns = _rows(g, x.dtype), _columns(g, x.dtype)
    large = y.nbytes >= NONTEMPORAL_BYTES and g.ow * y.itemsize >= LONG
    launch(_forward, g.n * g.c * g.oh, y.size, x.reshape(-1), y.reshape(-1), rows, *columns,
           large, g)  # fmt: skip


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    if g.antialias:
        apply(gy, gx, *along(g, gy.dtype, transposed=True))
        return
    lanes = TARGET.vector_bytes // gy.itemsize
    columns = readers_along(g.w, g.ow, g.columns, g.fx, gy.dtype, lanes)
    units = -(-g.n * g.c * g.h // lanes)
    launch(_backward, units, gx.size + 2 * gy.size, gy.reshape(-1), gx.reshape(-1),
           _rows(g, gy.dtype), columns, np.zeros(lanes, np.int64), g)  # fmt: skip


def _rows(g: Geometry, dtype: Any) -> Taps:
    return taps_along(g.h, g.oh, g.rows, g.fy, dtype)[0]


def _columns(g: Geometry, dtype: Any) -> tuple[Taps, Reads]:
    return taps_along(g.w, g.ow, g.columns, g.fx, dtype)


@functools.lru_cache(maxsize=64)
def taps_along(
    size: int, outputs: int, line: tuple[int, int, int, int], factor: float, dtype: Any
) -> tuple[Taps, Reads]:
    kinds = np.int64, np.int64, dtype, dtype, np.int64
    taps = Taps(*(np.empty(outputs, kind) for kind in kinds))
    launch(_fill, outputs, outputs, taps, size, line, factor)
    taps = taps._replace(first=np.searchsorted(taps.before, np.arange(size + 1)))
    vectors = reads(taps.before, dtype.itemsize)
    for table in (*taps, *vectors):
        table.flags.writeable = False
    return taps, vectors


class Readers(NamedTuple):
    """Along one axis, for each input pixel, the output pixels that read it, in order: an entry for
    each. After the last pixel comes the last again, which has two of a pixel then."""

    first: Array
    """Of its entries; and where there are no more."""
    weight: Array
    """Of an entry."""
    steps: Array
    """(entries, 2): the entry's number, and where its output pixel lies."""


@functools.lru_cache(maxsize=64)
def readers_along(
    size: int, outputs: int, line: tuple[int, int, int, int], factor: float, dtype: Any, step: int
) -> Readers:
    """Output pixels lie ``step`` numbers apart."""
    taps, _ = taps_along(size, outputs, line, factor, dtype)
    pixel = np.stack([taps.before, taps.after], 1).reshape(-1)
    order = np.argsort(pixel, kind="stable")
    weight = np.stack([taps.less, taps.more], 1).reshape(-1)[order]
    steps = np.stack([np.arange(len(order)), order // 2 * step], 1)
    return Readers(np.searchsorted(pixel[order], np.arange(size + 1)), weight, steps)
