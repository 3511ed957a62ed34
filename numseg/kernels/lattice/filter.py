"""Filter values by a lattice: splat them to its vertices, blur along each axis, slice.

Points are splat in order, in one run or a few that depend on sizes alone, each to a table of its
own; the tables are added in order. So no result depends on threads. The three steps are functions
of their own, for gradients.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.lattice.build import Lattice
from numseg.kernels.lattice.simplex import slice_factor
from numseg.kernels.lattice.vectors import blur_row, lanes, slice_row, splat_row
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

MOST_RUNS = 8


def filtered(lattice: Lattice, values: Array, out: Array, reverse: bool = False) -> None:
    """``out[i] = sum over points j of K(i, j) values[j]`` for values (P, L), of the weights' dtype,
    a row of L labels to a point. ``reverse`` takes the axes in the other order: the transpose."""
    tables = _tables(lattice, values)
    spare = tables[1] if len(tables) > 1 else None
    sliced(lattice, _blurred(tables[0], spare, lattice, reverse), out)


def splatted(lattice: Lattice, values: Array) -> Array:
    """(M + 1, L or a few more): for each vertex the sum of weight times value over its points; then
    zeros. What is beyond the labels means nothing."""
    return _tables(lattice, values)[0]


def _tables(lattice: Lattice, values: Array) -> Array:
    """The same, and other tables behind it."""
    (points, labels), number = values.shape, lattice.number
    how = lanes(labels, values.itemsize)
    runs = max(2 if number <= points else 1, min(MOST_RUNS, points // max(4 * number, 1)))
    tables = np.zeros((runs, number + 1, how.row), values.dtype)
    if labels and points:
        flat = tables.reshape(runs, -1)
        launch(_splat, runs, lattice.weights.size * how.row, values, values.reshape(-1), flat,
               lattice.vertices.reshape(-1), lattice.shares.reshape(-1), lattice.vertices.shape[1],
               *how)  # fmt: skip
        launch(_add, number if runs > 1 else 0, tables.size, flat, how.row)
    return tables


def blurred(table: Array, lattice: Lattice, reverse: bool = False) -> Array:
    """What vertices hold, plus half of what their neighbours hold, along one axis after the other.
    The table may be overwritten."""
    return _blurred(table, None, lattice, reverse)


def _blurred(table: Array, spare: Array | None, lattice: Lattice, reverse: bool) -> Array:
    axes, number, _ = lattice.neighbours.shape
    how = lanes(table.shape[1], table.itemsize)
    other = np.empty_like(table) if spare is None else spare
    other[number] = 0
    for axis in range(axes)[:: -1 if reverse else 1]:
        launch(_blur, number, 2 * table.size, table.reshape(-1),
               lattice.neighbours[axis].reshape(-1), other.reshape(-1), *how)  # fmt: skip
        table, other = other, table
    return table


def sliced(lattice: Lattice, table: Array, out: Array) -> None:
    """For each point the sum of weight times what the vertex holds, times a constant."""
    points, labels = out.shape
    corners = lattice.vertices.shape[1]
    if labels:
        how = lanes(labels, out.itemsize)
        factor = out.dtype.type(slice_factor(corners - 1))
        launch(_slice, points, lattice.weights.size * how.row, table.reshape(-1),
               lattice.vertices.reshape(-1), lattice.weights.reshape(-1), corners, factor,
               out, out.reshape(-1), *how)  # fmt: skip


@kernel()
def _splat(start, stop, rows, values, tables, vertices, shares, corners, lanes, vectors, blocks,
           row):  # fmt: skip
    (points, labels), runs, block = rows.shape, tables.shape[0], len(lanes) * len(vectors)
    last = np.zeros(row, values.dtype)
    last[:labels] = rows[points - 1]
    for run in range(start, stop):
        table = tables[run]
        for p in range(points * run // runs, points * (run + 1) // runs):
            for column in range(0, row, block):
                if p < points - 1:
                    splat_row(values, p * labels + column, table, column, row, vertices, shares,
                              p * corners, corners, lanes, vectors)  # fmt: skip
                else:
                    splat_row(last, column, table, column, row, vertices, shares, p * corners,
                              corners, lanes, vectors)  # fmt: skip


@kernel()
def _add(start, stop, tables, row):
    for run in range(1, tables.shape[0]):
        total, more = tables[0, start * row : stop * row], tables[run, start * row : stop * row]
        for i in range(len(total)):
            total[i] += more[i]


@kernel()
def _blur(start, stop, table, neighbours, out, lanes, vectors, blocks, row):
    for v in range(start, stop):
        before, after = neighbours[2 * v] * row, neighbours[2 * v + 1] * row
        for column in range(0, row, len(lanes) * len(vectors)):
            blur_row(table, v * row + column, before + column, after + column, out, lanes, vectors)


@kernel()
def _slice(start, stop, table, vertices, weights, corners, factor, rows, out, lanes, vectors,
           blocks, row):  # fmt: skip
    labels, block = rows.shape[1], len(lanes) * len(vectors)
    last = np.empty(row, out.dtype)
    for p in range(start, stop):
        for column in range(0, row, block):
            if p < stop - 1:
                slice_row(table, column, row, vertices, weights, p * corners, corners, factor,
                          out, p * labels + column, lanes, vectors)  # fmt: skip
            else:
                slice_row(table, column, row, vertices, weights, p * corners, corners, factor,
                          last, column, lanes, vectors)  # fmt: skip
    for l in range(labels):
        rows[stop - 1, l] = last[l]
