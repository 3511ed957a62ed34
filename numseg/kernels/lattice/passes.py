"""Mean field in one pass over the points for each iteration, on the lattices of all terms at once.

A pass takes a tile of points, which stays in the first-level cache: it slices what all lattices
hold, adds energies, takes the softmax, and splats the new Q for the next pass. So between
iterations there is no Q in memory, and no filtered Q, but tables of slots; what is read of points
is the energies, and the lattices' slots and weights. Backward is the same the other way round.

Rows are made up to whole vectors (``vectors.lanes``). The numbers behind the labels are infinite
energies, so that their Q is 0, and so is all that becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg.kernels.lattice.build import Lattice
from numseg.kernels.lattice.filter import splat_points
from numseg.kernels.lattice.vectors import (
    add_sliced_row,
    add_weight_gradients,
    divide_by_sum,
    subtract_largest,
)
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.run import run
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.transpose import transpose
from numseg.kernels.pointwise.elementary import decay
from numseg.typing import Array

TILE = 64
"""Points of a tile."""

UNIT = 1024
"""Rows whose products are summed by one thread."""


class Lattices(NamedTuple):
    """Of T terms, of the same points: all in one array each, so that kernels are the same for any
    number of terms."""

    ends: Array
    """(runs + 1,)"""
    corners: Array
    """(T,): of a point, D + 1."""
    begins: Array
    """(T,): where a term's corners begin."""
    slots: Array
    """(corners,)"""
    weights: Array
    """(corners,)"""
    bases: Array
    """(T, runs + 1): slots of all terms, numbered in common."""
    after: Array
    """(T, P): what a point's results are multiplied by."""
    before: Array
    """(T, P): what its values are."""

    @property
    def transposed(self) -> Lattices:
        return self._replace(after=self.before, before=self.after)

    def table(self, row: int) -> Array:
        """Room for what all slots hold."""
        return np.empty((int(self.bases[-1, -1]), row), self.weights.dtype)

    def part(self, table: Array, t: int) -> Array:
        """What the slots of a term hold."""
        return table[self.bases[t, 0] : self.bases[t, -1]]


def joined(lattices: Sequence[Lattice], after: Array, before: Array, corners: Array,
           weights: Array) -> Lattices:  # fmt: skip
    """Of lattices whose slots and weights are all of ``corners`` and ``weights``, in order."""
    counts = [lattice.slots.size for lattice in lattices]
    bases, first = [], 0
    for lattice in lattices:
        bases.append(lattice.bases + first)
        first += len(lattice.owners)
    return Lattices(
        ends=lattices[0].ends,
        corners=np.array([lattice.slots.shape[1] for lattice in lattices]),
        begins=np.cumsum([0, *counts[:-1]]),
        slots=corners,
        weights=weights,
        bases=np.stack(bases),
        after=after,
        before=before,
    )


@kernel()
def pad_rows(start, stop, planes, pad, rows):
    """Planes (L, P) to rows (P, L or more), what is behind the labels filled: of tiles."""
    labels, points = planes.shape
    row, lanes = rows.shape[1], TARGET.vector_bytes // rows.itemsize
    source, flat = planes.reshape(-1), rows.reshape(-1)
    for unit in range(start, stop):
        first = unit * TILE
        count = min(TILE, points - first)
        transpose(source[first:], points, labels, count, flat[first * row :], row, lanes)
        for p in range(first, first + count):
            for l in range(labels, row):
                rows[p, l] = pad


@rule
def _store_planes(z, row, labels, first, count, planes):
    """A tile's rows to planes (L, P)."""
    lanes = TARGET.vector_bytes // z.itemsize
    transpose(z, row, count, labels, planes.reshape(-1)[first:], planes.shape[1], lanes)


@rule
def _load_planes(planes, row, first, count, z):
    """The way back; what is behind the labels stays."""
    lanes = TARGET.vector_bytes // z.itemsize
    labels, points = planes.shape
    transpose(planes.reshape(-1)[first:], points, labels, count, z, row, lanes)


@rule
def _clear(table, r, lattices, row):
    """The slots of a run, of all terms."""
    for t in range(len(lattices.corners)):
        base, end = lattices.bases[t, r], lattices.bases[t, r + 1]
        run(table, base * row, (end - base) * row)[:] = 0


@rule
def _add_slices(table, lattices, r, first, count, z, lanes, vectors, row):
    """To a tile: the sum over terms of what they slice."""
    for t in range(len(lattices.corners)):
        corners, base = lattices.corners[t], lattices.bases[t, r] * row
        begin = lattices.begins[t] + first * corners
        after = lattices.after[t]
        for p in range(count):
            for column in range(0, row, len(lanes) * len(vectors)):
                add_sliced_row(table, base + column, row, lattices.slots, lattices.weights,
                               begin + p * corners, corners, after[first + p], z, p * row + column,
                               lanes, vectors)  # fmt: skip


@rule
def _splat_tile(z, lattices, r, first, count, table, lanes, vectors, row):
    for t in range(len(lattices.corners)):
        splat_points(z, first, first + count, row, lattices.before[t], table, lattices.bases[t, r],
                     lattices.slots, lattices.weights, lattices.begins[t], lattices.corners[t],
                     lanes, vectors, row)  # fmt: skip


@kernel({"contract"})
def splat_rows(start, stop, rows, lattices, table, lanes, vectors, blocks, row):
    """Rows, to the slots of all terms: of runs."""
    for r in range(start, stop):
        first, end = lattices.ends[r], lattices.ends[r + 1]
        _clear(table, r, lattices, row)
        part = run(rows, first * row, (end - first) * row)
        _splat_tile(part, lattices, r, first, end - first, table, lanes, vectors, row)


@kernel({"contract"})
def mean_field(start, stop, lattices, ends, unary, extra, sliced, splat, q, damping, measured, kept,
               logits, y, change, lanes, vectors, blocks, row):  # fmt: skip
    """An iteration, of runs. ``softmax(-unary + extra + what the tables sliced hold)`` is kept, and
    after damping it is q, y, and splat, each where it has room. ``change`` of a run: by how much q
    changed at most. Planes: kept, logits, y."""
    z = np.empty(TILE * row, unary.dtype)
    less, more = unary.dtype.type(1 - damping), unary.dtype.type(damping)
    for r in range(start, stop):
        end = ends[r + 1]
        if splat.size:
            _clear(splat, r, lattices, row)
        largest = 0.0
        for first in range(ends[r], end, TILE):
            count = min(TILE, end - first)
            size = count * row
            energies = run(unary, first * row, size)
            for i in range(size):
                z[i] = -energies[i]
            if extra.size:
                added = run(extra, first * row, size)
                for i in range(size):
                    z[i] += added[i]
            if sliced.size:
                _add_slices(sliced, lattices, r, first, count, z, lanes, vectors, row)
            if logits.size:
                _store_planes(z, row, len(logits), first, count, logits)
            for p in range(count):
                subtract_largest(z, p * row, row, lanes)
            for i in range(size):
                z[i] = decay(z[i])
            for p in range(count):
                divide_by_sum(z, p * row, row, lanes)
            if kept.size:
                _store_planes(z, row, len(kept), first, count, kept)
            if q.size:
                held = run(q, first * row, size)
                if damping > 0:
                    for i in range(size):
                        z[i] = less * z[i] + more * held[i]
                if measured:
                    largest = _largest_change(z, held, largest)
                for i in range(size):
                    held[i] = z[i]
            if y.size:
                _store_planes(z, row, len(y), first, count, y)
            if splat.size:
                _splat_tile(z, lattices, r, first, count, splat, lanes, vectors, row)
        change[r] = largest


@rule
def _largest_change(z, q, largest):
    """NaN if there is one."""
    for i in range(len(q)):
        moved = np.float64(abs(z[i] - q[i]))
        if moved > largest or moved != moved:
            largest = moved
    return largest


@kernel({"contract"})
def mean_field_back(start, stop, lattices, ends, extra, sliced, soft, damping, left, grads, total,
                    splat, before, before_splat, ahead, now, of_weights, along, out, lanes, vectors,
                    blocks, row):  # fmt: skip
    """Back through an iteration's softmax, of runs: Q's gradient is the sum of ``left``, of
    ``extra``, and of what the tables ``sliced`` hold. ``grads`` becomes the gradient of what the
    softmax was of, is subtracted from ``total``, if that has room, and splat; without ``soft`` it
    is that of the logits. Planes ``before``: the Q before this iteration, splat to
    ``before_splat``; ``now``: the Q after it. With ``ahead``, ``of_weights`` gets the gradient of
    the lattices' weights in the iteration that comes after this one, whose ``grads`` are still
    there and whose blurred Q the tables ``ahead`` hold, and ``along`` that of their factors.
    ``out``: planes for Q's gradient.

    ``lattices`` are transposed: they slice by the factors that forward splats by."""
    z, y = np.zeros(TILE * row, grads.dtype), np.zeros(TILE * row, grads.dtype)
    x = np.zeros(TILE * row, grads.dtype)
    less, more = grads.dtype.type(1 - damping), grads.dtype.type(damping)
    for r in range(start, stop):
        end = ends[r + 1]
        if splat.size:
            _clear(splat, r, lattices, row)
        if before_splat.size:
            _clear(before_splat, r, lattices, row)
        for first in range(ends[r], end, TILE):
            count = min(TILE, end - first)
            size = count * row
            grad = run(grads, first * row, size)
            z[:] = 0
            if ahead.size:
                _load_planes(now, row, first, count, x)
                _add_weight_gradients(sliced, ahead, lattices, r, first, count, grad, x, z,
                                      of_weights, along, lanes, vectors, row)  # fmt: skip
            elif sliced.size:
                _add_slices(sliced, lattices, r, first, count, z, lanes, vectors, row)
            if extra.size:
                added = run(extra, first * row, size)
                for i in range(size):
                    z[i] += added[i]
            if left.size:
                rest = run(left, first * row, size)
                for i in range(size):
                    z[i] += rest[i]
                    rest[i] = more * z[i] if soft.size else 0
            if out.size:
                _store_planes(z, row, len(out), first, count, out)
            if soft.size:
                _load_planes(soft, row, first, count, y)
                _through_softmax(y, less, count, row, z)
            for i in range(size):
                grad[i] = z[i]
            if total.size:
                held = run(total, first * row, size)
                for i in range(size):
                    held[i] -= z[i]
            if splat.size:
                _splat_tile(z, lattices, r, first, count, splat, lanes, vectors, row)
            if before_splat.size:
                _load_planes(before, row, first, count, x)
                for t in range(len(lattices.corners)):
                    splat_points(x, first, first + count, row, lattices.after[t], before_splat,
                                 lattices.bases[t, r], lattices.slots, lattices.weights,
                                 lattices.begins[t], lattices.corners[t], lanes, vectors,
                                 row)  # fmt: skip


@rule
def _through_softmax(y, less, count, row, z):
    """``z = y (less z - <y, less z>)`` of each row."""
    for p in range(count):
        soft, grad = run(y, p * row, row), run(z, p * row, row)
        dot = 0.0
        for i in range(row):
            grad[i] *= less
            dot += grad[i] * soft[i]
        shift = z.dtype.type(dot)
        for i in range(row):
            grad[i] = soft[i] * (grad[i] - shift)


@rule
def _add_weight_gradients(back, ahead, lattices, r, first, count, grad, x, z, of_weights, along,
                          lanes, vectors, row):  # fmt: skip
    for t in range(len(lattices.corners)):
        corners, base = lattices.corners[t], lattices.bases[t, r] * row
        begin = lattices.begins[t] + first * corners
        slices, splats = lattices.before[t], lattices.after[t]  # forward's after and before
        point = t * lattices.after.shape[1] + first
        for p in range(count):
            for column in range(0, row, len(lanes) * len(vectors)):
                add_weight_gradients(
                    back, ahead, base + column, row, lattices.slots, lattices.weights,
                    begin + p * corners, corners, slices[first + p], splats[first + p], grad, x, z,
                    p * row + column, of_weights, along, 2 * (point + p), lanes,
                    vectors)  # fmt: skip


@kernel({"contract"})
def mix_rows(start, stop, values, weights, matrix, out):
    """Of rows (., row): ``weights`` times them; ``matrix`` (L, L) of them, if there is one."""
    labels = len(matrix)
    for v in range(start, stop):
        row, result = values[v], out[v]
        if labels == 0:
            for l in range(len(result)):
                result[l] = weights[l] * row[l]
        else:
            result[:] = 0
            for m in range(labels):
                column, value = matrix[m], row[m]
                for l in range(labels):
                    result[l] += column[l] * value


@kernel({"contract"})
def sum_products(start, stop, a, b, labels, by_label, by_pair):
    """Of units of rows, sums over rows: ``by_label`` (units, labels) of ``a[l] b[l]``, ``by_pair``
    (units, labels, labels) of ``a[l] b[m]``, where they have room."""
    for unit in range(start, stop):
        for v in range(unit * UNIT, min((unit + 1) * UNIT, len(a))):
            left, right = a[v], b[v]
            if by_label.size:
                for l in range(labels):
                    by_label[unit, l] += np.float64(left[l]) * np.float64(right[l])
            if by_pair.size:
                for l in range(labels):
                    total, value = by_pair[unit, l], np.float64(left[l])
                    for m in range(labels):
                        total[m] += value * np.float64(right[m])
