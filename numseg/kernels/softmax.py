"""The largest value and the sum of exps that every softmax needs, down columns or along a row."""

from __future__ import annotations

import numpy as np

from numseg.kernels.elementary import exp
from numseg.kernels.jit import rule
from numseg.kernels.sums import row_sum

BLOCK = 512
"""Columns that are handled at once: 21 rows of them stay in the second-level cache."""

LANES = 64
"""Largest values along a row that are kept side by side."""


@rule
def column_statistics(x, n, first, end, largest, total, exps):
    """Of the columns ``x[n, :, first:end]``: the largest value, and the sum of exp(x - largest).

    The sum is NaN where a column holds a NaN, an inf, or -inf alone. ``exps``, unless it is None,
    has the shape of x and gets the exps.
    """
    largest[:] = -np.inf
    for c in range(x.shape[1]):
        row = x[n, c, first:end]
        for i in range(len(row)):
            largest[i] = row[i] if row[i] > largest[i] else largest[i]
    total[:] = 0
    for c in range(x.shape[1]):
        row = x[n, c, first:end]
        if exps is None:
            for i in range(len(row)):
                total[i] += exp(row[i] - largest[i])
        else:
            out = exps[n, c, first:end]
            for i in range(len(row)):
                out[i] = exp(row[i] - largest[i])
                total[i] += out[i]


@rule
def row_statistics(row, exps):
    """Of one row: the largest value, and the sum of ``exps``, filled with exp(row - largest)."""
    lanes = np.full(LANES, -np.inf, row.dtype)
    for first in range(0, len(row), LANES):
        part = row[first : first + LANES]
        for i in range(len(part)):
            lanes[i] = part[i] if part[i] > lanes[i] else lanes[i]
    largest = lanes.max()
    for i in range(len(row)):
        exps[i] = exp(row[i] - largest)
    return largest, row_sum(exps)
