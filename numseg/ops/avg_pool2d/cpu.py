"""avg_pool2d on the CPU. A unit is an output row, and backward an input row.

Both go by way of a row of the padded image, so that all sums run over contiguous numbers: forward
adds up the rows of a window, then shifted copies of that sum, and picks every ``sx``-th number;
backward spreads a row of ``grad_y`` to every ``sx``-th place and adds up shifted copies of that.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.copy import copy
from numseg.kernels.jit import kernel, rule
from numseg.kernels.parallel import launch
from numseg.kernels.simd import TARGET
from numseg.kernels.windows import sums
from numseg.ops.avg_pool2d import Geometry
from numseg.ops.avg_pool2d.rules import count
from numseg.typing import Array

_sums_2, _sums_3 = sums(2), sums(3)


@rule
def _add(source, target):
    for i in range(len(target)):
        target[i] += source[i]


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
        row[:] = 0
        for r in range(max(top, 0), min(top + g.kh, g.h)):
            _add(x[plane, r], row[g.pl : g.pl + on_image])
        out, rows = y[plane, p], x.dtype.type(_row_divisor(p, g))
        if small and g.kw == 2:
            _sums_2(row, out)
        elif small and g.kw == 3:
            _sums_3(row, out)
        else:
            copy(row[: last + 1], every)
            for j in range(1, g.kw):
                _add(row[j:], every)
            for q in range(g.ow):
                out[q] = every[q * g.sx]
        for q in range(g.ow):
            out[q] /= divisors[q] * rows


@kernel()
def _backward(start, stop, gy, gx, g):
    divisors = _column_divisors(gy, g)
    last = (g.ow - 1) * g.sx
    # an empty margin of kw - 1 at both ends, so that every shifted copy exists
    spread = np.zeros(max(last, g.w + g.pl) + 2 * g.kw, gy.dtype)
    row = np.empty(g.ow, gy.dtype)
    for unit in range(start, stop):
        plane, r = divmod(unit, g.h)
        row[:] = 0
        first = max((r + g.pt - g.kh) // g.sy + 1, 0)  # the windows over row r
        for p in range(first, min((r + g.pt) // g.sy + 1, g.oh)):
            grads, rows = gy[plane, p], _row_divisor(p, g)
            for q in range(g.ow):
                row[q] += grads[q] / (divisors[q] * rows)
        for q in range(g.ow):
            spread[g.kw - 1 + q * g.sx] = row[q]
        out = gx[plane, r]
        out[:] = 0
        for j in range(g.kw - 1, -1, -1):
            _add(spread[g.kw - 1 + g.pl - j :], out)


def forward(x: Array, y: Array, g: Geometry) -> None:
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    work = g.n * g.c * g.oh * g.w * (g.kh + g.kw)
    launch(_forward, g.n * g.c * g.oh, work, x.reshape(image), y.reshape(out), g)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    work = gx.size * (g.kh + g.kw)
    launch(_backward, g.n * g.c * g.h, work, gy.reshape(out), gx.reshape(image), g)
