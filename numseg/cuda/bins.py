"""Means and maxima of bins on CUDA: the twin of :mod:`numseg.kernels.pooling.bins`.

Rows come first: a thread has a column of a row of bins, so that neighbours read neighbours, however
few bins there are. Then a thread has a bin, of what the columns are now; backward, a pixel, which
gathers from the bins that hold it, row by row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.launch import Ints, Longs, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.runtime import empty
from numseg.cuda.tables import kept
from numseg.geometry import BinRule
from numseg.kernels.machine.jit import rule
from numseg.kernels.pooling.maxima import wins, wins_at
from numseg.typing import Array


class Bins(NamedTuple):
    """Bins of an image. Those of a plane are a stretch of a row of y, behind ``offset``."""

    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    row: int
    """Numbers of a row of y."""
    offset: int = 0
    add: bool = False
    """Gradients are added to what is there."""


def average(x: Any, y: Any, kind: BinRule, g: Bins) -> None:
    """Fill y with the means of the bins."""
    sums = empty((g.n * g.c, g.oh, g.w), x.dtype)
    rows, columns, _, _ = _tables(kind, *g[2:6])
    launch(_column_sums, g.n * g.c * g.oh, g.w, x, sums, rows, g)
    launch(_means, g.n * g.c, g.oh * g.ow, sums, y, rows, columns, g)


def average_gradient(gy: Any, gx: Any, kind: BinRule, g: Bins) -> None:
    """The transpose of :func:`average`."""
    launch(_mean_gradient, g.n * g.c, g.h * g.w, gy, gx, *_tables(kind, *g[2:6]), g)


def largest(x: Any, y: Any, switches: Any, kind: BinRule, g: Bins) -> None:
    """The same for the maxima, and where they stand in their plane."""
    best = empty((g.n * g.c, g.oh, g.w), x.dtype)
    places = empty(best.shape, np.int32)
    rows, columns, _, _ = _tables(kind, *g[2:6])
    launch(_column_winners, g.n * g.c * g.oh, g.w, x, best, places, rows, g)
    launch(_winners, g.n * g.c, g.oh * g.ow, best, places, y, switches, columns, g)


def largest_gradient(switches: Any, gy: Any, gx: Any, kind: BinRule, g: Bins) -> None:
    """The gradient of :func:`largest`: a pixel adds up the bins that it won."""
    _, _, row_bins, column_bins = _tables(kind, *g[2:6])
    arrays = switches, gy, gx, row_bins, column_bins
    launch(_winner_gradient, g.n * g.c, g.h * g.w, *arrays, g)


@kept
def _tables(kind: BinRule, h: int, w: int, oh: int, ow: int) -> tuple[Array, ...]:
    """Of rows and of columns: where the bins start, where they end, and what their divisor counts;
    then, for each pixel, the first bin that holds it, and one past the last."""
    axes = [
        (np.array(kind(i, o), int).reshape(o, 3).T, np.arange(i)) for i, o in ((h, oh), (w, ow))
    ]
    holders = [
        np.concatenate([np.searchsorted(edge, pixels, "right") for edge in (end, start)])
        for (start, end, _), pixels in axes
    ]
    return *(bins.ravel() for bins, _ in axes), *holders


@kernel
def _column_sums(x: Reals, sums: Reals, rows: Ints, g: Bins) -> None:
    """A plane is a row of bins."""
    column, line = thread()
    if column >= g.w:
        return
    while line < g.n * g.c * g.oh:
        plane = quotient(line, g.oh)
        p = int32(line - plane * g.oh)
        row, end = rows[p], rows[g.oh + p]
        total = x.dtype.type(0)
        while row < end:
            total += x[(plane * g.h + row) * g.w + column]
            row = int32(row + 1)
        sums[line * g.w + column] = total
        line = next_plane(line)


@kernel
def _means(sums: Reals, y: Reals, rows: Ints, columns: Ints, g: Bins) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    first, end = columns[q], columns[g.ow + q]
    count = y.dtype.type(max(rows[2 * g.oh + p] * columns[2 * g.ow + q], 1))
    while plane < g.n * g.c:
        total = y.dtype.type(0)
        column = first
        while column < end:
            total += sums[(plane * g.oh + p) * g.w + column]
            column = int32(column + 1)
        y[_place(plane, g) + pixel] = total / count
        plane = next_plane(plane)


@kernel
def _mean_gradient(
    gy: Reals,
    gx: Reals,
    rows: Ints,
    columns: Ints,
    row_bins: Ints,
    column_bins: Ints,
    g: Bins,
) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    p0, p1 = row_bins[row], row_bins[g.h + row]
    q0, q1 = column_bins[column], column_bins[g.w + column]
    while plane < g.n * g.c:
        here, first = plane * g.h * g.w + pixel, _place(plane, g)
        total = gx[here] if g.add else gx.dtype.type(0)
        p = p0
        while p < p1:
            q = q0
            while q < q1:
                count = max(rows[2 * g.oh + p] * columns[2 * g.ow + q], 1)
                total += gy[first + p * g.ow + q] / gx.dtype.type(count)
                q = int32(q + 1)
            p = int32(p + 1)
        gx[here] = total
        plane = next_plane(plane)


@kernel
def _column_winners(x: Reals, best: Reals, places: Ints, rows: Ints, g: Bins) -> None:
    """A plane is a row of bins."""
    column, line = thread()
    if column >= g.w:
        return
    while line < g.n * g.c * g.oh:
        plane = quotient(line, g.oh)
        p = int32(line - plane * g.oh)
        row, end = rows[p], rows[g.oh + p]
        value, there = x[(plane * g.h + row) * g.w + column], row
        row = int32(row + 1)
        while row < end:
            candidate = x[(plane * g.h + row) * g.w + column]
            if wins(candidate, value):
                value, there = candidate, row
            row = int32(row + 1)
        best[line * g.w + column] = value
        places[line * g.w + column] = there * g.w + column
        line = next_plane(line)


@kernel
def _winners(best: Reals, places: Ints, y: Reals, switches: Longs, columns: Ints, g: Bins) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    first, end = columns[q], columns[g.ow + q]
    while plane < g.n * g.c:
        at = (plane * g.oh + p) * g.w
        value, place = best[at + first], places[at + first]
        column = int32(first + 1)
        while column < end:
            candidate, here = best[at + column], places[at + column]
            if wins_at(candidate, here, value, place):
                value, place = candidate, here
            column = int32(column + 1)
        y[_place(plane, g) + pixel] = value
        switches[_place(plane, g) + pixel] = place
        plane = next_plane(plane)


@kernel
def _winner_gradient(
    switches: Longs, gy: Reals, gx: Reals, row_bins: Ints, column_bins: Ints, g: Bins
) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    p0, p1 = row_bins[row], row_bins[g.h + row]
    q0, q1 = column_bins[column], column_bins[g.w + column]
    while plane < g.n * g.c:
        here, first = plane * g.h * g.w + pixel, _place(plane, g)
        total = gx[here] if g.add else gx.dtype.type(0)
        p = p0
        while p < p1:
            q = q0
            while q < q1:
                bin_ = first + p * g.ow + q
                if switches[bin_] == pixel:
                    total += gy[bin_]
                q = int32(q + 1)
            p = int32(p + 1)
        gx[here] = total
        plane = next_plane(plane)


@rule
def _place(plane, g):
    """Where in y the bins of a plane begin."""
    n = quotient(plane, g.c)
    return n * g.row + g.offset + (plane - n * g.c) * g.oh * g.ow
