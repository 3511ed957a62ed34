"""Means and maxima of bins: rows and columns of an image, each cut into spans that may overlap.

Along an axis a bin is (start, end, count): the pixels that it has, and how many its divisor counts.
The results of a plane are a stretch of a row of y, from ``offset`` on, so that several pyramid
levels go into one array.

Rows come first, with contiguous sums and maxima over all columns; a bin of that is short.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.pooling.maxima import wins
from numseg.kernels.pooling.scatter import scatter_add
from numseg.kernels.reductions.sums import row_sum
from numseg.typing import Array

Bins = list[tuple[int, int, int]]

NARROW = np.int32(np.iinfo(np.int32).max)
"""Places up to here are as wide as float32, which makes vectors of as many numbers."""

CHUNK = 1024
"""Numbers that are looked through at a time."""


@rule
def _add(source, target):
    for i in range(len(target)):
        target[i] += source[i]


@rule
def _copy(source, target):
    for i in range(len(target)):
        target[i] = source[i]


@kernel()
def _average(start, stop, x, rows, columns, width, y, offset):
    """A unit is a row of bins in a plane; x is (N, C, H * W)."""
    channels, oh, ow = x.shape[1], len(rows), len(columns)
    whole = ow == 1 and columns[0, 0] == 0 and columns[0, 1] == width
    sums = np.empty(width, x.dtype)
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        n, c = divmod(plane, channels)
        image, first, end = x[n, c], rows[p, 0] * width, rows[p, 1] * width
        out = y[n, offset + (c * oh + p) * ow :]
        if whole:
            out[0] = row_sum(image[first:end]) / max(rows[p, 2] * columns[0, 2], 1)
            continue
        _copy(image[first : first + width], sums)
        for at in range(first + width, end, width):
            _add(image[at : at + width], sums)
        for q in range(ow):
            total = row_sum(sums[columns[q, 0] : columns[q, 1]])
            out[q] = total / max(rows[p, 2] * columns[q, 2], 1)


@kernel()
def _average_gradient(start, stop, rows, columns, gy, gx, offset, add):
    """The transpose of ``_average``. A unit is a plane; with ``add`` it adds to what is there."""
    channels, oh, ow = gx.shape[1], len(rows), len(columns)
    h, w = gx.shape[2:]
    shares = np.empty((oh, w), gx.dtype)  # what row p of bins gives to each pixel in a row of it
    for unit in range(start, stop):
        n, c = divmod(unit, channels)
        shares[:] = 0
        for p in range(oh):
            grads = gy[n, offset + (c * oh + p) * ow :]
            for q in range(ow):
                share = grads[q] / gx.dtype.type(max(rows[p, 2] * columns[q, 2], 1))
                span = shares[p, columns[q, 0] : columns[q, 1]]
                for i in range(len(span)):
                    span[i] += share
        first = 0
        for r in range(h):
            out = gx[n, c, r]
            fresh = not add
            while first < oh and rows[first, 1] <= r:
                first += 1
            p = first
            while p < oh and rows[p, 0] <= r:
                if fresh:
                    _copy(shares[p], out)
                else:
                    _add(shares[p], out)
                fresh = False
                p += 1
            if fresh:
                out[:] = 0


@rule
def winners_of_columns(image, row, end, step, drop_nan, best, place):
    """Of every column, the winner among the rows from ``row`` on, and where it is."""
    width = len(best)
    for c in range(width):
        best[c], place[c] = image[row, c], row * width + c
    for r in range(row + step, end, step):
        values, first = image[r], r * width
        for c in range(width):
            if wins(values[c], best[c], drop_nan):
                best[c], place[c] = values[c], first + c


@kernel()
def _largest(start, stop, x, rows, columns, y, switches, offset, nowhere):
    """A unit is a row of bins in a plane. ``nowhere`` is of the integer type that places have."""
    channels, oh, ow = x.shape[1], len(rows), len(columns)
    width = x.shape[3]
    best, place, there = np.empty(width, x.dtype), np.full(width, nowhere), np.full(ow, nowhere)
    left, right = columns[:, 0].copy(), columns[:, 1] - 1
    longest = np.max(right - left) + 1 if ow > 0 else 0
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        n, c = divmod(plane, channels)
        winners_of_columns(x[n, c], rows[p, 0], rows[p, 1], 1, False, best, place)
        at = offset + (c * oh + p) * ow
        largest, out = y[n, at : at + ow], switches[n, at : at + ow]
        for q in range(ow):
            largest[q], there[q] = best[left[q]], place[left[q]]
        for k in range(1, longest):
            for q in range(ow):
                s = min(left[q] + k, right[q])  # a narrow bin looks at its last column again
                value, here = best[s], place[s]
                # wins_at without a branch: which column wins is a matter of chance
                nan = (value != value) & ((largest[q] == largest[q]) | (here > there[q]))
                won = nan | (value > largest[q]) | ((value == largest[q]) & (here < there[q]))
                largest[q] = value if won else largest[q]
                there[q] = here if won else there[q]
        for q in range(ow):
            out[q] = there[q]


@rule
def _first(array, value):
    """Where the value stands first: it must be there."""
    at = 0
    while at + 64 <= len(array):
        block, found = array[at : at + 64], 0
        for i in range(64):
            found += block[i] == value
        if found > 0:
            break
        at += 64
    while array[at] != value:
        at += 1
    return at


@rule
def _highest(bits, magnitudes):
    """The highest of some floats, as signed and as unsigned integers."""
    high, top = bits[0], magnitudes[0]
    for i in range(len(bits)):
        high = bits[i] if bits[i] > high else high
        top = magnitudes[i] if magnitudes[i] > top else top
    return high, top


@rule
def _lowest(bits):
    low = bits[0]
    for i in range(len(bits)):
        low = bits[i] if bits[i] < low else low
    return low


@rule
def _winner(values, bits, magnitudes, limits):
    """Place of the last NaN or else the first maximum. The arrays are the same memory.

    A compiler has vectors for the extremes of integers, but for those of floats only if none is
    NaN. As signed integers positive floats are in their order, and negative ones, which begin with
    -0.0, in the opposite one; NaN lies beyond the infinities. What is found in a chunk is an order
    that is 0 for both zeros; the first chunk with the highest is then searched for the place.
    """
    infinity, minus_infinity, zero = limits
    chunk, best, nan = 0, np.int64(zero), -1
    for at in range(0, len(bits), CHUNK):
        here = bits[at : at + CHUNK]
        high, top = _highest(here, magnitudes[at : at + CHUNK])
        order = np.int64(high)
        if high < 0:
            order = np.int64(zero) - _lowest(here)
        if order > best:
            chunk, best = at, order
        if high > infinity or top > minus_infinity:
            nan = at
    if nan >= 0:
        place = min(nan + CHUNK, len(values)) - 1
        while values[place] == values[place]:
            place -= 1
        return place
    if best == 0:
        return chunk + _first(values[chunk:], values.dtype.type(0))
    return chunk + _first(bits[chunk:], bits.dtype.type(best if best > 0 else zero - best))


@kernel()
def _largest_rows(start, stop, x, bits, magnitudes, limits, rows, width, y, switches, offset):
    """A unit is one bin, of whole rows; x is (N, C, H * W), the next two the same as integers."""
    for unit in range(start, stop):
        plane, p = divmod(unit, len(rows))
        n, c = divmod(plane, x.shape[1])
        first, end = rows[p, 0] * width, rows[p, 1] * width
        place = first + _winner(x[n, c, first:end], bits[n, c, first:end],
                                magnitudes[n, c, first:end], limits)  # fmt: skip
        at = offset + c * len(rows) + p
        y[n, at], switches[n, at] = x[n, c, place], place


@kernel()
def _largest_gradient(start, stop, switches, gy, gx, offset, count, add):
    """Each gradient goes to the pixel in its switch. A unit is a plane of ``count`` bins."""
    channels = gx.shape[1]
    for unit in range(start, stop):
        n, c = divmod(unit, channels)
        image = gx[n, c].reshape(gx.shape[2] * gx.shape[3])
        first = offset + c * count
        places, grads = switches[n, first : first + count], gy[n, first : first + count]
        scatter_add(
            places, grads, image, len(image) if add else 0
        )  # the caller may have written more


def average(x: Array, rows: Bins, columns: Bins, y: Array, offset: int = 0) -> None:
    """Fill ``y[n, offset : offset + C * OH * OW]`` with the means of an image's bins."""
    n, c, h, w = x.shape
    launch(_average, n * c * len(rows), x.size, x.reshape(n, c, h * w), _table(rows),
           _table(columns), w, y, offset)  # fmt: skip


def average_gradient(
    gy: Array, rows: Bins, columns: Bins, gx: Array, offset: int = 0, add: bool = False
) -> None:
    """The transpose of :func:`average`."""
    n, c = gx.shape[:2]
    launch(_average_gradient, n * c, gx.size, _table(rows), _table(columns), gy, gx, offset, add)


def largest(
    x: Array, rows: Bins, columns: Bins, y: Array, switches: Array, offset: int = 0
) -> None:
    """The same for the maxima, and where they stand in their plane."""
    n, c, h, w = x.shape
    if [bin_[:2] for bin_ in columns] == [(0, w)]:
        flat = x.reshape(n, c, h * w)
        edges = np.array([np.inf, -np.inf, -0.0], x.dtype)
        signed, unsigned = f"i{x.itemsize}", f"u{x.itemsize}"
        limits = edges.view(signed)[0], edges.view(unsigned)[1], edges.view(signed)[2]
        launch(_largest_rows, n * c * len(rows), x.size, flat, flat.view(signed),
               flat.view(unsigned), limits, _table(rows), w, y, switches, offset)  # fmt: skip
        return
    nowhere = NARROW if h * w <= NARROW else np.iinfo(np.int64).max
    launch(_largest, n * c * len(rows), 2 * x.size, x, _table(rows), _table(columns), y, switches,
           offset, nowhere)  # fmt: skip


def largest_gradient(
    switches: Array, gy: Array, gx: Array, count: int, offset: int = 0, add: bool = False
) -> None:
    """The gradient of :func:`largest`: ``count`` bins of a plane add up in their order."""
    n, c = gx.shape[:2]
    launch(_largest_gradient, n * c, gx.size, switches, gy, gx, offset, count, add)


def _table(bins: Bins) -> Array:
    table = np.array(bins, np.int64).reshape(len(bins), 3)
    table.flags.writeable = False
    return table
