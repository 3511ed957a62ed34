"""The largest value and the exps that every softmax needs, down columns or along a row.

Columns are handled in blocks, whose scores are first copied to where they are neighbours: in x they
often lie powers of two apart, and then they drive each other out of every cache. A rule is called
for a whole block: arrays are counted when they are passed on, which takes as long as a short row.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.elementary import decay
from numseg.kernels.jit import rule
from numseg.kernels.sums import row_sum

BLOCK = 512
"""Columns that are handled at once: 21 rows of them stay in the second-level cache."""

LANES = 64
"""Largest values along a row that are kept side by side."""


@rule
def take(x, n, first, end, scores, largest):
    """Copy the scores ``x[n, :, first:end]``; the largest of each column."""
    largest[:] = -np.inf
    for c in range(x.shape[1]):
        row, out = x[n, c, first:end], scores[c]
        for i in range(len(row)):
            out[i] = row[i]
            largest[i] = row[i] if row[i] > largest[i] else largest[i]


@rule
def exponentiate(scores, largest, size):
    """Turn the scores of ``size`` columns into exp(score - largest)."""
    for c in range(len(scores)):
        row = scores[c]
        for i in range(size):
            row[i] = decay(row[i] - largest[i])


@rule
def add_up(exps, total):
    """The sums of the columns, in float64, row after row.

    A sum is NaN where the scores hold a NaN, an inf, or -inf alone.
    """
    total[:] = 0
    rest = len(exps) % 4
    for c in range(rest):
        row = exps[c]
        for i in range(len(total)):
            total[i] += row[i]
    for c in range(rest, len(exps), 4):  # four at a time: half the work is to load and store sums
        row0, row1, row2, row3 = exps[c], exps[c + 1], exps[c + 2], exps[c + 3]
        for i in range(len(total)):
            total[i] = (((total[i] + row0[i]) + row1[i]) + row2[i]) + row3[i]


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
        exps[i] = decay(row[i] - largest)
    return largest, row_sum(exps)
