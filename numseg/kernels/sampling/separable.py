"""Images whose rows and columns are weighted sums of another's, along each axis by a table of its
own (``filter_taps``). The gradient is the same by the transposed tables.

A unit is as many rows of the result as a vector has lanes. Rows are summed up along memory, and
then the sums laid side by side: a column is a sum of vectors, too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.scratch import aligned
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose_square
from numseg.kernels.machine.vector_copy import copy_rows
from numseg.kernels.sampling.filter_taps import Taps
from numseg.typing import Array

VECTORS = 4
"""Of a row that are summed up at once."""

_sum, _sums = micro_kernel(1, 1), micro_kernel(1, VECTORS)


class Axis(NamedTuple):
    """A table, as the micro-kernel takes it."""

    first: Array
    weight: Array
    steps: Array
    """(entries, 2): the entry's number, and where what it reads lies."""


@kernel()
def _apply(start, stop, x, y, rows, columns, vectors, origin, h, w, oh, ow):
    lanes = len(origin)
    width, span = lanes * -(-w // lanes), lanes * -(-ow // lanes)
    sums = aligned(np.zeros((lanes + 1) * width + lanes, x.dtype))
    turned = aligned(np.empty((max(width, span) + 1) * lanes, x.dtype))
    out = aligned(np.zeros((span + 1) * lanes, x.dtype))
    for unit in range(start, stop):
        first = unit * lanes
        count = min(lanes, len(y) // ow - first)
        for t in range(count):
            plane, p = divmod(first + t, oh)
            _sum_rows(x[plane * h * w :], rows, p, vectors, origin, sums[t * width :], w)
        for c in range(0, width, lanes):
            transpose_square(sums, c, width, turned, c * lanes, lanes)
        for q in range(ow):
            _sum(columns.weight, origin, 0, turned, origin, 0, columns.steps,
                 columns.first[q], columns.first[q + 1],
                 out[q * lanes :], origin, 0, origin, 0, None)  # fmt: skip
        for q in range(0, span, lanes):
            transpose_square(out, q * lanes, lanes, turned, q, span)
        copy_rows(turned, 0, span, y, first * ow, ow, count, ow)


@rule
def _sum_rows(x, rows, p, vectors, origin, out, w):
    """The last vector ends with the row; a row of less than a vector is summed number by number."""
    k0, k1 = rows.first[p], rows.first[p + 1]
    for v in range(0, len(vectors), VECTORS):
        _sums(rows.weight, origin, 0, x, vectors, v, rows.steps, k0, k1,
              out, origin, 0, vectors, v, None)  # fmt: skip
    if len(vectors) == 0:
        for i in range(w):
            out[i] = 0
        for k in range(k0, k1):
            at, weight = rows.steps[k, 1], rows.weight[k]
            for i in range(w):
                out[i] += weight * x[at + i]


def apply(x: Array, y: Array, rows: Taps, columns: Taps) -> None:
    """Fill y, (N, C, OH, OW), from x, (N, C, H, W)."""
    (h, w), (oh, ow) = x.shape[2:], y.shape[2:]
    lanes = TARGET.vector_bytes // x.itemsize
    vectors = np.minimum(np.arange(0, w, lanes), w - lanes) if w >= lanes else np.empty(0, np.int64)
    vectors = np.append(vectors, [vectors[-1:]] * (-len(vectors) % VECTORS))
    work = y.size // ow * (len(rows.weight) // oh * w + len(columns.weight))
    launch(_apply, -(-y.size // (ow * lanes)), work // lanes, x.reshape(-1), y.reshape(-1),
           _axis(rows, w), _axis(columns, lanes), vectors.astype(np.int64),
           np.zeros(lanes, np.int64), h, w, oh, ow)  # fmt: skip


def _axis(table: Taps, step: int) -> Axis:
    numbers = np.arange(len(table.place))
    return Axis(table.first, table.weight, np.stack([numbers, table.place * step], 1))
