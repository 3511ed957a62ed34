"""Regions of interest on CUDA: weighted sums of the pixels that the bins of a box read.

What bins read, along the rows and along the columns, is tabulated on the CPU, where boxes have been
to be checked; the tables go to the GPU in one piece of integers and one of reals. There, forward, a
thread has a bin of a channel. Backward it has a pixel of a plane, and gathers from the regions of
its tile of the image, in their order: first the regions that read any pixel of a tile are listed,
then, for each region and row, or column, the bins that read it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.arrays import Cuda
from numseg.cuda.launch import (
    Doubles,
    Ints,
    Reals,
    Split,
    add_up,
    kernel,
    launch,
    next_plane,
    quotient,
    split,
    thread,
)
from numseg.cuda.runtime import cuda, empty, simulated
from numseg.kernels.sampling.roi_average import RoiShape, Weights
from numseg.typing import Array

TILE = 4 if simulated() else 32
"""Rows and columns of a tile."""


class Reads(NamedTuple):
    """Sizes, and where the tables of what bins read begin: of rows, then of columns."""

    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int
    image: int
    counts: int
    row_first: int
    row_end: int
    row: int
    row_weight: int
    row_entries: int
    column_first: int
    column_end: int
    column: int
    column_weight: int
    column_entries: int


class Readers(NamedTuple):
    """Sizes, and where the tables of who reads a pixel begin: of rows, then of columns."""

    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int
    across: int
    """Tiles side by side, and of an image."""
    tiles: int
    tile_first: int
    tile_regions: int
    counts: int
    row_low: int
    row_span: int
    row_base: int
    row_first: int
    row_bin: int
    row_value: int
    column_low: int
    column_span: int
    column_base: int
    column_first: int
    column_bin: int
    column_value: int


class Packed:
    """Arrays one behind the other, so that one copy brings them to the GPU."""

    def __init__(self, dtype: Any) -> None:
        self.dtype, self.parts, self.size = dtype, [np.zeros(0, dtype)], 0

    def add(self, array: Array) -> int:
        """Where it begins."""
        first = self.size
        self.parts.append(array.astype(self.dtype).reshape(array.size))
        self.size += array.size
        return first

    def sent(self) -> Any:
        return Cuda.from_host(np.concatenate(self.parts))


class Entries(NamedTuple):
    """Along one axis: a region, a bin of it, and a pixel that this reads."""

    region: Array
    bin: Array
    pixel: Array
    value: Array | None
    """The pixel's weight, or an integer that tells a kernel how it is read."""


def entries(weights: Weights) -> Entries:
    """Those of averages."""
    bins = weights.first.shape[1]
    numbers, here = runs(weights.first, weights.end)
    return Entries(numbers // bins, numbers % bins, weights.pixel[here], weights.values[0, here])


def runs(first: Array, end: Array) -> tuple[Array, Array]:
    """The numbers from ``first`` up to ``end``, one run behind the other, and whose they are."""
    first, length = first.ravel(), np.maximum(end - first, 0).ravel()
    owner = np.repeat(np.arange(len(length)), length)
    return owner, np.arange(len(owner)) + (first - np.cumsum(length) + length)[owner]


class Table(NamedTuple):
    """The arguments of kernels."""

    ints: Any
    reals: Any
    places: Any
    """:class:`Reads` or :class:`Readers`."""


def reads(
    index: Array, rows: Weights, columns: Weights, counts: Array, s: RoiShape, dtype: Any
) -> Table:
    """What bins read; ``index`` is each region's image, ``counts`` what its sums are divided by."""
    ints, reals = Packed(np.int32), Packed(dtype)
    places = [ints.add(index), reals.add(np.maximum(counts, 1))]
    for axis, step in ((rows, s.w), (columns, 1)):
        places += [ints.add(axis.first), ints.add(axis.end), ints.add(axis.pixel * step)]
        places += [reals.add(axis.values), len(axis.pixel)]
    return Table(ints.sent(), reals.sent(), Reads(*s, *places))


def readers(
    index: Array, rows: Entries, columns: Entries, counts: Array, s: RoiShape, dtype: Any
) -> Table:
    """Who reads a pixel. Values that are integers go among the integers."""
    ints, reals = Packed(np.int32), Packed(dtype)
    spans: list[tuple[Array, Array]] = []
    places: list[int] = []
    for axis, step in ((rows, s.ow), (columns, 1)):
        low, span, base, first, order = _by_pixel(axis, s.k)
        spans.append((low, span))
        places += [ints.add(table) for table in (low, span, base, first, axis.bin[order] * step)]
        value = axis.value[order] if axis.value is not None else np.zeros(0, int)
        places.append((reals if value.dtype.kind == "f" else ints).add(value))
    down, across = -(-s.h // TILE), -(-s.w // TILE)
    tile_first, regions = _by_tile(index, spans[0], spans[1], down, across, s)
    tiles = across, down * across, ints.add(tile_first), ints.add(regions)
    g = Readers(*s, *tiles, reals.add(np.maximum(counts, 1)), *places)
    return Table(ints.sent(), reals.sent(), g)


def _by_pixel(axis: Entries, regions: int) -> tuple[Array, ...]:
    """For each region the first pixel that it reads, and how many from there on; where the table of
    these pixels begins; for each of them its first entry, and where there are no more; the order
    that the entries are in."""
    low, end = np.full(regions, np.iinfo(np.int32).max), np.zeros(regions, int)
    np.minimum.at(low, axis.region, axis.pixel)
    np.maximum.at(end, axis.region, axis.pixel + 1)
    span = np.maximum(end - low, 0)
    base = np.cumsum(span) - span
    place = (base - low)[axis.region] + axis.pixel
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], np.arange(int(span.sum()) + 1))
    return low, span, base, first, order


def _by_tile(
    index: Array,
    rows: tuple[Array, Array],
    columns: tuple[Array, Array],
    down: int,
    across: int,
    s: RoiShape,
) -> tuple[Array, Array]:
    """For each tile of each image where its regions begin; the regions, in order. Rows are the
    first that a region reads, and how many from there on; columns alike."""
    (top, height), (left, width) = rows, columns
    some = (height > 0) & (width > 0)
    first_row, first_column = top // TILE, left // TILE
    wide = np.where(some, (left + width - 1) // TILE - first_column + 1, 0)
    high = np.where(some, (top + height - 1) // TILE - first_row + 1, 0)
    region, number = runs(np.zeros(s.k, int), wide * high)
    row = first_row[region] + number // np.maximum(wide, 1)[region]
    column = first_column[region] + number % np.maximum(wide, 1)[region]
    tile = (index[region] * down + row) * across + column
    order = np.argsort(tile, kind="stable")
    return np.searchsorted(tile[order], np.arange(s.n * down * across + 1)), region[order]


def average(x: Any, y: Any, table: Table, outside: float = 0.0) -> None:
    """Fill y with the averages, by the table of :func:`reads`; with ``outside`` where a bin reads
    nothing."""
    g = table.places
    launch(_average, g.k * g.c, g.oh * g.ow, x, y, table.ints, table.reals, outside, g)


def average_gradient(gy: Any, gx: Any, table: Table) -> None:
    """Fill gx with the gradient of :func:`average`, by the table of :func:`readers`."""
    g = table.places
    launch(_average_gradient, g.n * g.c, g.h * g.w, gy, gx, table.ints, table.reals, g)


def box_gradient(x: Any, gy: Any, table: Table) -> tuple[Array, Array]:
    """The same as :func:`numseg.kernels.sampling.roi_average.box_gradient`, on the CPU."""
    return box_sums(_box_sums, table.places, x, gy, table.ints, table.reals)


def box_sums(kernel: Any, g: Any, *args: Any) -> tuple[Array, Array]:
    """Four sums for each region over its channels and bins, in float64: those of a kernel that is
    given addends, sizes and how the sums are split."""
    sums = empty((4, g.k), np.float64)
    terms = g.c * g.oh * g.ow
    parts, addends = split(sums, terms)
    launch(kernel, g.k, parts.parts, *args, addends, g, Split(parts.parts, terms))
    add_up(addends, sums, parts)
    total = Cuda.to_host(sums)
    return total[::2], total[1::2]


@kernel
def _average(x: Reals, y: Reals, ints: Ints, reals: Reals, outside: float, g: Reads) -> None:
    """A plane is a channel of a region."""
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    while plane < g.k * g.c:
        k = quotient(plane, g.c)
        base = (ints[g.image + k] * g.c + plane - k * g.c) * g.h * g.w
        e0, e1 = ints[g.row_first + k * g.oh + p], ints[g.row_end + k * g.oh + p]
        f, f1 = ints[g.column_first + k * g.ow + q], ints[g.column_end + k * g.ow + q]
        value = outside
        if e0 < e1 and f < f1:
            total = y.dtype.type(0)
            while f < f1:
                line = y.dtype.type(0)
                at = base + ints[g.column + f]
                e = e0
                while e < e1:
                    line += reals[g.row_weight + e] * x[at + ints[g.row + e]]
                    e = int32(e + 1)
                total += reals[g.column_weight + f] * line
                f = int32(f + 1)
            value = total / reals[g.counts + k]
        y[plane * g.oh * g.ow + pixel] = value
        plane = next_plane(plane)


@cuda.jit(device=True)
def _row_readers(ints: Any, k: Any, row: Any, g: Any) -> Any:
    """The entries of a row in region k."""
    there = int32(row - ints[g.row_low + k])
    if 0 <= there < ints[g.row_span + k]:
        at = g.row_first + ints[g.row_base + k] + there
        return ints[at], ints[at + 1]
    return int32(0), int32(0)


@cuda.jit(device=True)
def _column_readers(ints: Any, k: Any, column: Any, g: Any) -> Any:
    """The entries of a column in region k."""
    there = int32(column - ints[g.column_low + k])
    if 0 <= there < ints[g.column_span + k]:
        at = g.column_first + ints[g.column_base + k] + there
        return ints[at], ints[at + 1]
    return int32(0), int32(0)


def gathering(share: Any) -> Any:
    """``gather(total, ints, pixel, plane, g, arrays)``: a total, and what a pixel of a plane gets
    from the regions of its tile, one after the other.

    ``share(total, k, base, entries, ints, g, arrays)`` adds what it gets from region k, whose bins
    of this channel begin at ``base``. The entries are those of the pixel's row, from one up to
    another, and of its column. ``arrays`` are the kernel's own.
    """

    @cuda.jit(device=True)
    def gather(total: Any, ints: Any, pixel: Any, plane: Any, g: Any, arrays: Any) -> Any:
        row = quotient(pixel, g.w)
        column = int32(pixel - row * g.w)
        image = quotient(plane, g.c)
        tile = int32(quotient(row, TILE) * g.across + quotient(column, TILE))
        place = g.tile_first + image * g.tiles + tile
        i, end = ints[place], ints[place + 1]
        while i < end:
            k = ints[g.tile_regions + i]
            e, e1 = _row_readers(ints, k, row, g)
            f, f1 = _column_readers(ints, k, column, g)
            if e < e1 and f < f1:
                base = (k * g.c + plane - image * g.c) * g.oh * g.ow
                total = share(total, k, base, (e, e1, f, f1), ints, g, arrays)
            i = int32(i + 1)
        return total

    return gather


@cuda.jit(device=True)
def _average_share(
    total: Any, k: Any, base: Any, entries: Any, ints: Any, g: Any, arrays: Any
) -> Any:
    gy, reals = arrays
    e0, e1, f, f1 = entries
    part = gy.dtype.type(0)
    while f < f1:
        line = gy.dtype.type(0)
        at = base + ints[g.column_bin + f]
        e = e0
        while e < e1:
            line += reals[g.row_value + e] * gy[at + ints[g.row_bin + e]]
            e = int32(e + 1)
        part += reals[g.column_value + f] * line
        f = int32(f + 1)
    return total + part / reals[g.counts + k]


_gather_averages = gathering(_average_share)


@kernel
def _average_gradient(gy: Reals, gx: Reals, ints: Ints, reals: Reals, g: Readers) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        arrays = gy, reals
        gx[plane * g.h * g.w + pixel] = _gather_averages(
            gx.dtype.type(0), ints, pixel, plane, g, arrays
        )
        plane = next_plane(plane)


@kernel
def _box_sums(
    x: Reals, gy: Reals, ints: Ints, reals: Reals, addends: Doubles, g: Reads, terms: Split
) -> None:
    """What the region's bins change by when their samples move: along the rows together, and in
    proportion to where they lie in the box; along the columns alike. A thread has some bins."""
    part, k = thread()
    if part >= terms.parts:
        return
    while k < g.k:
        down = down_part = right = right_part = addends.dtype.type(0)
        term = part
        while term < terms.terms:
            channel = quotient(term, g.oh * g.ow)
            pixel = int32(term - channel * g.oh * g.ow)
            p = quotient(pixel, g.ow)
            q = k * g.ow + pixel - p * g.ow
            base = (ints[g.image + k] * g.c + channel) * g.h * g.w
            e, e1 = ints[g.row_first + k * g.oh + p], ints[g.row_end + k * g.oh + p]
            f0, f1 = ints[g.column_first + q], ints[g.column_end + q]
            zero = x.dtype.type(0)
            a, b, c, d = zero, zero, zero, zero
            while e < e1:
                line, moved, moved_part = zero, zero, zero
                f = f0
                while f < f1:
                    value = x[base + ints[g.row + e] + ints[g.column + f]]
                    at = g.column_weight + f
                    line += reals[at] * value
                    moved += reals[at + g.column_entries] * value
                    moved_part += reals[at + 2 * g.column_entries] * value
                    f = int32(f + 1)
                at = g.row_weight + e
                a += reals[at + g.row_entries] * line
                b += reals[at + 2 * g.row_entries] * line
                c += reals[at] * moved
                d += reals[at] * moved_part
                e = int32(e + 1)
            grad = addends.dtype.type(gy[k * terms.terms + term])
            count = reals[g.counts + k]
            down += grad * addends.dtype.type(a / count)
            down_part += grad * addends.dtype.type(b / count)
            right += grad * addends.dtype.type(c / count)
            right_part += grad * addends.dtype.type(d / count)
            term = int32(term + terms.parts)
        at = part * 4 * g.k + k
        addends[at], addends[at + g.k] = down, down_part
        addends[at + 2 * g.k], addends[at + 3 * g.k] = right, right_part
        k = next_plane(k)
