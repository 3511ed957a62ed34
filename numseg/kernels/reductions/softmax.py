"""The largest value and the exps that every softmax needs, down columns or along a row.

Columns are handled in blocks, whose scores are first copied to where they are neighbours: in x they
often lie powers of two apart, and then they drive each other out of every cache. A rule is called
for a whole block: arrays are counted when they are passed on, which takes as long as a short row.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import rule
from numseg.kernels.machine.vector_copy import prefetch_near
from numseg.kernels.pointwise.elementary import decay
from numseg.kernels.reductions.sums import row_sum

BLOCK = 128
"""Columns that are handled at once: 21 rows of them stay in the first-level cache."""

WIDE = 512
"""The same for loops that keep sums of columns, and no rows."""

LANES = 64
"""Largest values along a row that are kept side by side."""


@rule
def span(unit, block, g):
    """A unit's columns, ``block`` of them or what is left: image, first, last + 1."""
    n, b = divmod(unit, (g.size + block - 1) // block)
    return n, b * block, min(b * block + block, g.size)


@rule
def whole(size):
    """The columns of a block that are computed: a multiple of any vector's lanes, so that loops
    over them have no rest. What is in those behind ``size`` is nobody's."""
    return (size + 15) & -16


@rule
def load_scores(x, n, first, end, scores, largest):
    """Copy the scores ``x[n, :, first:end]``; the largest of each column."""
    largest[:] = -np.inf
    for c in range(x.shape[1]):
        row, out = x[n, c, first:end], scores[c]
        for i in range(len(row)):
            score, top = row[i], largest[i]
            out[i] = score
            largest[i] = score if score > top else top


@rule
def prefetch_next(x, n, c, end):
    """Ask for the scores ``x[n, c]`` of the next block: they would come too late for a CPU that
    works on this one and then waits for the next."""
    following = (n * x.shape[1] + c) * x.shape[2] + end
    prefetch_near(x, following, following + BLOCK)


@rule
def exponentiate(scores, largest, x, n, first, end):
    """Turn the scores of ``load_scores`` into exp(score - largest), and meanwhile prefetch the next
    block's."""
    for c in range(len(scores)):
        row = scores[c]
        prefetch_next(x, n, c, end)
        for i in range(whole(end - first)):
            row[i] = decay(row[i] - largest[i])


@rule
def sum_columns(exps, size, total):
    """The sums of the columns, in float64, row after row.

    A sum is NaN where the scores hold a NaN, an inf, or -inf alone.
    """
    total[:] = 0
    rest = len(exps) % 4
    for c in range(rest):
        row = exps[c]
        for i in range(whole(size)):
            total[i] += row[i]
    for c in range(rest, len(exps), 4):  # four at a time: half the work is to load and store sums
        row0, row1, row2, row3 = exps[c], exps[c + 1], exps[c + 2], exps[c + 3]
        for i in range(whole(size)):
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
