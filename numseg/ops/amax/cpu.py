"""amax and amin on the CPU. Rows are the last axis that is walked through: a unit is a result where
they are reduced, a block of neighbouring results where they are not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.run import run
from numseg.kernels.machine.threads import launch
from numseg.over_axes import Axis, Geometry
from numseg.typing import Array

BLOCK = 512
"""Neighbours that are compared at once: they stay in the first-level cache."""


@rule
def _place(index, axes):
    """Where the given place along some axes lies, the last one fastest."""
    place = 0
    for axis in range(axes.shape[1] - 1, -1, -1):
        index, at = divmod(index, axes[0, axis])
        place += at * axes[1, axis]
    return place


@rule
def _count(axes):
    count = 1
    for axis in range(axes.shape[1]):
        count *= axes[0, axis]
    return count


@rule
def _compare(best, values, sign):
    """The larger of each two, or NaN."""
    for i in range(len(values)):
        value = sign * values[i]
        best[i] = value if value > best[i] or value != value else best[i]


@rule
def _is(value, extreme):
    return value == extreme or (value != value and extreme != extreme)


@kernel()
def _along(start, stop, x, y, size, kept, added, sign):
    lines, best = _count(added), np.empty(BLOCK, x.dtype)
    for unit in range(start, stop):
        at = _place(unit, kept)
        best[:] = -np.inf
        for line in range(lines):
            row = run(x, at + _place(line, added), size)
            for first in range(0, size, BLOCK):
                _compare(best, row[first : first + BLOCK], sign)
        largest = best[0]
        for i in range(1, BLOCK):
            largest = best[i] if best[i] > largest or best[i] != best[i] else largest
        y[unit] = sign * largest


@kernel()
def _across(start, stop, x, y, size, kept, added, sign):
    lines, blocks = _count(added), (size + BLOCK - 1) // BLOCK
    best = np.empty(BLOCK, x.dtype)
    for unit in range(start, stop):
        number, block = divmod(unit, blocks)
        first = block * BLOCK
        count = min(BLOCK, size - first)
        at = _place(number, kept) + first
        best[:] = -np.inf
        for line in range(lines):
            _compare(best, run(x, at + _place(line, added), count), sign)
        out = run(y, number * size + first, count)
        for i in range(count):
            out[i] = sign * best[i]


@kernel()
def _backward_along(start, stop, x, y, gy, gx, size, kept, added):
    lines = _count(added)
    for unit in range(start, stop):
        at, extreme, ties = _place(unit, kept), y[unit], 0
        for line in range(lines):
            row = run(x, at + _place(line, added), size)
            for i in range(len(row)):
                ties += _is(row[i], extreme)
        share = gy[unit] / np.float64(ties)
        for line in range(lines):
            here = at + _place(line, added)
            row, out = run(x, here, size), run(gx, here, size)
            for i in range(len(row)):
                out[i] = share if _is(row[i], extreme) else 0.0


@kernel()
def _backward_across(start, stop, x, y, gy, gx, size, kept, added):
    lines, blocks = _count(added), (size + BLOCK - 1) // BLOCK
    ties = np.empty(BLOCK)
    for unit in range(start, stop):
        number, block = divmod(unit, blocks)
        first = block * BLOCK
        count = min(BLOCK, size - first)
        at = _place(number, kept) + first
        extremes = run(y, number * size + first, count)
        grads = run(gy, number * size + first, count)
        ties[:] = 0
        for line in range(lines):
            row = run(x, at + _place(line, added), count)
            for i in range(len(row)):
                ties[i] += 1.0 if _is(row[i], extremes[i]) else 0.0
        for line in range(lines):
            here = at + _place(line, added)
            row, out = run(x, here, count), run(gx, here, count)
            for i in range(len(row)):
                out[i] = grads[i] / ties[i] if _is(row[i], extremes[i]) else 0.0


class _Walk(NamedTuple):
    """The row's size, and the axes besides it: a column of a table for each."""

    size: int
    kept: Array
    added: Array
    along: bool
    """Rows are reduced."""
    units: int


@functools.lru_cache(maxsize=256)
def _walk(g: Geometry) -> _Walk:
    *outer, row = g.axes
    kept, added = ([axis for axis in outer if axis.reduced is r] for r in (False, True))
    units = 1 if row.reduced else -(-row.size // BLOCK)
    for axis in kept:
        units *= axis.size
    return _Walk(row.size, _table(kept), _table(added), row.reduced, units)


def _table(axes: Sequence[Axis]) -> Array:
    table = np.array([axis[:2] for axis in axes] or [(1, 0)], np.int64).T.copy()
    table.flags.writeable = False
    return table


def forward(x: Array, y: Array, g: Geometry) -> None:
    size, kept, added, along, units = _walk(g)
    loop, sign = _along if along else _across, x.dtype.type(g.number)
    launch(loop, units, x.size, x.reshape(-1), y.reshape(-1), size, kept, added, sign)


def backward(x: Array, y: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        size, kept, added, along, units = _walk(g)
        loop = _backward_along if along else _backward_across
        flat = (array.reshape(-1) for array in (x, y, gy, gx))
        launch(loop, units, 2 * x.size, *flat, size, kept, added)
