"""Filter values by a lattice: splat them to its vertices, blur along each axis, slice.

Each vertex sums the values of its points in their order, each point those of its vertices: no
result depends on threads. The three steps are functions of their own, for gradients.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.lattice.build import Lattice
from numseg.kernels.lattice.simplex import slice_factor
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.typing import Array


def filtered(lattice: Lattice, values: Array, out: Array, reverse: bool = False) -> None:
    """``out[i] = sum over points j of K(i, j) values[j]`` for values (P, L), of the weights' dtype,
    a row of L labels to a point. ``reverse`` takes the axes in the other order: the transpose."""
    sliced(lattice, blurred(splatted(lattice, values), lattice, reverse), out)


def splatted(lattice: Lattice, values: Array) -> Array:
    """(M + 1, L): for each vertex the sum of weight times value over its points; then zeros."""
    number, labels = lattice.starts.size - 1, values.shape[1]
    table = np.empty((number + 1, labels), values.dtype)
    table[number] = 0
    launch(_splat, number, lattice.points.size * labels, values, lattice.starts, lattice.points,
           lattice.shares, table)  # fmt: skip
    return table


def blurred(table: Array, lattice: Lattice, reverse: bool = False) -> Array:
    """What vertices hold, plus half of what their neighbours hold, along one axis after the other.
    The table may be overwritten."""
    axes, number, _ = lattice.neighbours.shape
    other = np.empty_like(table)
    other[number] = 0
    for axis in range(axes)[:: -1 if reverse else 1]:
        launch(_blur, number, table.size * 4, table, lattice.neighbours[axis], other)
        table, other = other, table
    return table


def sliced(lattice: Lattice, table: Array, out: Array) -> None:
    """For each point the sum of weight times what the vertex holds, times a constant."""
    points, corners = lattice.vertices.shape
    factor = out.dtype.type(slice_factor(corners - 1))
    launch(
        _slice, points, out.size * corners, lattice.vertices, lattice.weights, table, factor, out
    )


@kernel(fastmath={"contract"})
def _splat(start, stop, values, starts, points, shares, table):
    labels = values.shape[1]
    for v in range(start, stop):
        row = table[v]
        for l in range(labels):
            row[l] = 0
        for e in range(starts[v], starts[v + 1]):
            value, share = values[points[e]], shares[e]
            for l in range(labels):
                row[l] += share * value[l]


@kernel(fastmath={"contract"})
def _blur(start, stop, table, neighbours, out):
    half = table.dtype.type(0.5)
    for v in range(start, stop):
        here, before, after, row = (
            table[v], table[neighbours[v, 0]], table[neighbours[v, 1]], out[v]
        )  # fmt: skip
        for l in range(table.shape[1]):
            row[l] = here[l] + half * (before[l] + after[l])


@kernel(fastmath={"contract"})
def _slice(start, stop, vertices, weights, table, factor, out):
    for p in range(start, stop):
        row = out[p]
        for l in range(out.shape[1]):
            row[l] = 0
        for k in range(vertices.shape[1]):
            here, weight = table[vertices[p, k]], weights[p, k] * factor
            for l in range(out.shape[1]):
                row[l] += weight * here[l]
