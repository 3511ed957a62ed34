"""Filter values by a lattice: splat them to its vertices, blur along each axis, slice.

A run of points is splat, in order, into a table of its own slots; a vertex then gathers its slots,
run by run, and what it has after the blur is spread to them again, for the run to slice. So no
result depends on threads. The steps are functions of their own, for gradients and for mean field.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.lattice.build import Lattice
from numseg.kernels.lattice.simplex import slice_factor
from numseg.kernels.lattice.vectors import blur_row, lanes, slice_row, splat_row
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.run import run
from numseg.kernels.machine.threads import launch
from numseg.typing import Array


def filtered(lattice: Lattice, values: Array, out: Array, reverse: bool = False) -> None:
    """``out[i] = sum over points j of K(i, j) values[j]`` for values (P, L), of the weights' dtype,
    a row of L labels to a point. ``reverse`` takes the axes in the other order: the transpose."""
    sliced(lattice, blurred(splatted(lattice, values), lattice, reverse), out)


def splatted(lattice: Lattice, values: Array) -> Array:
    """(M + 1, L or a few more): for each vertex the sum of weight times value over its points; then
    zeros. What is beyond the labels means nothing."""
    how = lanes(values.shape[1], values.itemsize)
    table = np.empty((len(lattice.owners), how.row), values.dtype)
    if table.size:
        launch(_splat, len(lattice.ends) - 1, lattice.weights.size * how.row, values,
               values.reshape(-1), table.reshape(-1), lattice.slots.reshape(-1),
               lattice.weights.reshape(-1), lattice.slots.shape[1], lattice.ends, lattice.bases,
               *how)  # fmt: skip
    return gathered(lattice, table)


def gathered(lattice: Lattice, table: Array) -> Array:
    """The sums of vertices, (M + 1, row), from those of slots; the last is 0."""
    out = np.empty((lattice.number + 1, table.shape[1]), table.dtype)
    out[-1] = 0
    launch(_gather, lattice.number, 2 * table.size, table.reshape(-1), lattice.first,
           lattice.later, out.reshape(-1), table.shape[1])  # fmt: skip
    return out


def blurred(table: Array, lattice: Lattice, reverse: bool = False) -> Array:
    """What vertices hold, plus half of what their neighbours hold, along one axis after the other.
    The table may be overwritten."""
    axes, number, _ = lattice.neighbours.shape
    how = lanes(table.shape[1], table.itemsize)
    other = np.empty_like(table)
    other[number] = 0
    for axis in range(axes)[:: -1 if reverse else 1]:
        launch(_blur, number, 2 * table.size, table.reshape(-1),
               lattice.neighbours[axis].reshape(-1), other.reshape(-1), *how)  # fmt: skip
        table, other = other, table
    return table


def spread(lattice: Lattice, table: Array, scale: Array, out: Array) -> None:
    """What vertices hold times ``scale`` (row,), for each slot: (slots, row)."""
    launch(_spread, len(out), 2 * out.size, table.reshape(-1), lattice.owners, scale,
           out.reshape(-1))  # fmt: skip


def sliced(lattice: Lattice, table: Array, out: Array) -> None:
    """For each point the sum of weight times what the vertex holds, times a constant."""
    corners, row = lattice.slots.shape[1], table.shape[1]
    if out.size:
        how = lanes(out.shape[1], out.itemsize)
        near = np.empty((len(lattice.owners), row), table.dtype)
        spread(lattice, table, np.full(row, slice_factor(corners - 1), table.dtype), near)
        launch(_slice, len(lattice.ends) - 1, lattice.weights.size * row, near.reshape(-1),
               lattice.slots.reshape(-1), lattice.weights.reshape(-1), corners, lattice.ends,
               lattice.bases, out, out.reshape(-1), *how)  # fmt: skip


@rule
def splat_points(values, first, last, pitch, scale, table, base, slots, weights, begin, corners,
                 lanes, vectors, row):  # fmt: skip
    """Splat the rows of points from ``first`` to ``last``, ``pitch`` numbers apart and times
    ``scale`` if there is one, to slots behind ``base``; the points' corners begin at ``begin``."""
    factor = values.dtype.type(1)
    for p in range(last - first):
        if scale.size:
            factor = scale[first + p]
        for column in range(0, row, len(lanes) * len(vectors)):
            splat_row(values, p * pitch + column, factor, table, base * row + column, row, slots,
                      weights, begin + (first + p) * corners, corners, lanes, vectors)  # fmt: skip


@kernel()
def _splat(start, stop, rows, values, table, slots, weights, corners, ends, bases, lanes, vectors,
           blocks, row):  # fmt: skip
    points, labels = rows.shape
    last = np.zeros(row, values.dtype)
    last[:labels] = rows[points - 1]
    for r in range(start, stop):
        first, end, base = ends[r], ends[r + 1], bases[r]
        run(table, base * row, (bases[r + 1] - base) * row)[:] = 0
        whole = min(end, points - 1)
        splat_points(run(values, first * labels, (end - first) * labels), first, whole, labels,
                     values[:0], table, base, slots, weights, 0, corners, lanes, vectors,
                     row)  # fmt: skip
        if whole < end:
            splat_points(last, whole, end, row, values[:0], table, base, slots, weights, 0, corners,
                         lanes, vectors, row)  # fmt: skip


@kernel()
def _gather(start, stop, table, first, later, out, row):
    for v in range(start, stop):
        total, slot = run(out, v * row, row), first[v]
        one = run(table, slot * row, row)
        for i in range(row):
            total[i] = one[i]
        slot = later[slot]
        while slot >= 0:
            more = run(table, slot * row, row)
            for i in range(row):
                total[i] += more[i]
            slot = later[slot]


@kernel()
def _blur(start, stop, table, neighbours, out, lanes, vectors, blocks, row):
    for v in range(start, stop):
        before, after = neighbours[2 * v] * row, neighbours[2 * v + 1] * row
        for column in range(0, row, len(lanes) * len(vectors)):
            blur_row(table, v * row + column, before + column, after + column, out, lanes, vectors)


@kernel()
def _spread(start, stop, table, owners, scale, out):
    row = len(scale)
    for slot in range(start, stop):
        source, target = run(table, owners[slot] * row, row), run(out, slot * row, row)
        for i in range(row):
            target[i] = scale[i] * source[i]


@kernel()
def _slice(start, stop, table, slots, weights, corners, ends, bases, rows, out, lanes, vectors,
           blocks, row):  # fmt: skip
    labels, block, one = rows.shape[1], len(lanes) * len(vectors), out.dtype.type(1)
    last = np.empty(row, out.dtype)
    for r in range(start, stop):
        end, base = ends[r + 1], bases[r] * row
        for p in range(ends[r], end):
            for column in range(0, row, block):
                if p < end - 1:
                    slice_row(table, base + column, row, slots, weights, p * corners, corners, one,
                              out, p * labels + column, lanes, vectors)  # fmt: skip
                else:
                    slice_row(table, base + column, row, slots, weights, p * corners, corners, one,
                              last, column, lanes, vectors)  # fmt: skip
        for l in range(labels):
            rows[end - 1, l] = last[l]
