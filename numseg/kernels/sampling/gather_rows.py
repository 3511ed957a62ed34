"""Images whose rows and columns are copies of another's, and the way back, which adds copies up.

Which row is copied where is in a table, and which column: ``y[p, q] = x[rows[p], columns[q]]``.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.threads import launch
from numseg.typing import Array


@kernel()
def _gather(start, stop, x, y, rows, columns):
    """A unit is a row of y."""
    oh = y.shape[1]
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        out = y[plane, p]
        if unit > start and p > 0 and rows[p] == rows[p - 1]:
            copy(y[plane, p - 1], out)
            continue
        row = x[plane, rows[p]]
        for q in range(len(out)):
            out[q] = row[columns[q]]


@kernel()
def _gather_gradient(start, stop, gy, gx, order, rows, columns):
    """A unit is a row of gx. ``rows`` are those of the table in the ``order`` that sorts them."""
    h = gx.shape[1]
    row = np.empty(gy.shape[2], gy.dtype)
    for unit in range(start, stop):
        plane, r = divmod(unit, h)
        row[:] = 0
        first, end = np.searchsorted(rows, r), np.searchsorted(rows, r + 1)
        for k in range(first, end):
            grads = gy[plane, order[k]]
            for q in range(len(row)):
                row[q] += grads[q]
        out = gx[plane, r]
        out[:] = 0
        for q in range(len(row)):
            out[columns[q]] += row[q]


def gather(x: Array, y: Array, rows: Array, columns: Array) -> None:
    """Fill y, (planes, OH, OW), from x, (planes, H, W)."""
    launch(_gather, y.shape[0] * y.shape[1], y.size, x, y, rows, columns)


def gather_gradient(gy: Array, gx: Array, rows: Array, columns: Array) -> None:
    """Fill gx with the sums over the copies of each pixel: rows first, in order."""
    order = np.argsort(rows, kind="stable")
    launch(_gather_gradient, gx.shape[0] * gx.shape[1], gx.size + gy.size, gy, gx, order,
           rows[order], columns)  # fmt: skip
