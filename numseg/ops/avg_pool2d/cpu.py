"""avg_pool2d on the CPU. A unit is an output row, and backward an input row.

Both go by way of a row of the padded image, so that all sums run over contiguous numbers: forward
adds up the rows of a window, then shifted copies of that sum, and picks every ``sx``-th number;
backward adds up what the windows over a row give to each of their pixels, spreads that to every
``sx``-th place and adds up shifted copies of it.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import (
    PREFETCH_ROW_BYTES,
    copy_row,
    divide_row,
    prefetch,
    sum_rows,
)
from numseg.kernels.pooling.windows import shares, sums
from numseg.ops.avg_pool2d.geometry import Geometry
from numseg.ops.avg_pool2d.rules import count
from numseg.typing import Array

_sums_2, _sums_3 = sums(2), sums(3)
_shares_2, _shares_3 = shares(2), shares(3)


@rule
def _column_divisors(like, g):
    """The columns' part of the divisor of every output pixel of a row."""
    divisors = np.empty(g.ow, like.dtype)
    for q in range(g.ow):
        columns = count(q * g.sx - g.pl, g.kw, g.w, g.pr, g.include_pad)
        divisors[q] = g.divisor if g.divisor else max(columns, 1)
    return divisors


@rule
def _row_divisor(p, g):
    return 1 if g.divisor else max(count(p * g.sy - g.pt, g.kh, g.h, g.pb, g.include_pad), 1)


@kernel()
def _forward(start, stop, x, y, g):
    divisors = _column_divisors(x, g)
    last = (g.ow - 1) * g.sx  # where the last window of a row starts
    row, every = np.zeros(last + g.kw, x.dtype), np.empty(last + 1, x.dtype)
    small = g.sx == 2 and g.ow * x.itemsize >= TARGET.vector_bytes
    on_image = min(g.w, len(row) - g.pl)
    for unit in range(start, stop):
        plane, p = divmod(unit, g.oh)
        top = p * g.sy - g.pt
        first, end = max(top, 0), min(top + g.kh, g.h)
        ahead = (plane * g.h + end) * g.w + PREFETCH_ROW_BYTES // x.itemsize
        prefetch(x, ahead, ahead + g.sy * g.w)
        sum_rows(x, (plane * g.h + first) * g.w, g.w, end - first, row, g.pl, on_image)
        if small and g.kw == 2:
            _sums_2(row, every, g.ow)
        elif small and g.kw == 3:
            _sums_3(row, every, g.ow)
        else:
            sum_rows(row, 0, 1, g.kw, every, 0, last + 1)
            for q in range(g.ow):
                every[q] = every[q * g.sx]
        divide_row(every, 0, divisors, x.dtype.type(_row_divisor(p, g)), y, unit * g.ow, g.ow)


@kernel()
def _backward(start, stop, gy, gx, g):
    divisors = _column_divisors(gy, g)
    parts = np.empty(g.oh * g.ow, gy.dtype)  # of a plane: what a window gives to each of its pixels
    pairs, margin = (g.w + g.pl + 1) // 2, TARGET.vector_bytes // gy.itemsize
    row = np.zeros(max(g.ow, pairs) + 2 * margin, gy.dtype)
    # an empty margin of kw - 1 at both ends, so that every shifted copy exists
    length = max((g.ow - 1) * g.sx, g.w + g.pl) + 2 * g.kw
    spread = np.zeros(max(length, 2 * (pairs + margin)), gy.dtype)
    ready, of = 0, -1
    for unit in range(start, stop):
        plane, r = divmod(unit, g.h)
        first = max((r + g.pt - g.kh) // g.sy + 1, 0)  # the windows over row r
        end = min((r + g.pt) // g.sy + 1, g.oh)
        ready = max(ready, first) if plane == of else first
        of = plane
        while ready < end:
            rows = gy.dtype.type(_row_divisor(ready, g))
            divide_row(gy, (plane * g.oh + ready) * g.ow, divisors, rows, parts, ready * g.ow, g.ow)
            ready += 1
        sum_rows(parts, first * g.ow, g.ow, end - first, row, margin, g.ow)
        if g.sx == 2 and g.kw == 2:
            _shares_2(row, spread, pairs)
            copy_row(spread, g.pl, gx, unit * g.w, g.w)
        elif g.sx == 2 and g.kw == 3:
            _shares_3(row, spread, pairs)
            copy_row(spread, g.pl, gx, unit * g.w, g.w)
        else:
            for q in range(g.ow):
                spread[g.kw - 1 + q * g.sx] = row[margin + q]
            sum_rows(spread, g.pl, 1, g.kw, gx, unit * g.w, g.w)


def forward(x: Array, y: Array, g: Geometry) -> None:
    work = g.n * g.c * g.oh * g.w * (g.kh + g.kw)
    launch(_forward, g.n * g.c * g.oh, work, x.reshape(-1), y.reshape(-1), g)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        work = gx.size * (g.kh + g.kw)
        launch(_backward, g.n * g.c * g.h, work, gy.reshape(-1), gx.reshape(-1), g)
