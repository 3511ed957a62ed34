"""Means and maxima of bins: rows and columns of an image, each cut into spans that may overlap.

Along an axis a bin is (start, end, count): the pixels that it has, and how many its divisor counts.
The results of a plane are a stretch of a row of y, from ``offset`` on, so that several pyramid
levels go into one array.

Rows come first, with contiguous sums and maxima over all columns; a bin of that is short.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel, rule
from numseg.kernels.parallel import launch
from numseg.ops.max_pool2d.rules import wins, wins_at
from numseg.typing import Array

Bins = list[tuple[int, int, int]]

NARROW = np.int32(np.iinfo(np.int32).max)
"""Places up to here are as wide as float32, which makes vectors of as many numbers."""


@rule
def _add(source, target):
    for i in range(len(target)):
        target[i] += source[i]


@rule
def _total(values):
    """A sum in eight parts, side by side."""
    parts = np.zeros(8, values.dtype)
    whole = len(values) // 8
    for k in range(whole):
        eight = values[8 * k : 8 * k + 8]
        for lane in range(8):
            parts[lane] += eight[lane]
    for k in range(8 * whole, len(values)):
        parts[k % 8] += values[k]
    total = parts[0]
    for lane in range(1, 8):
        total += parts[lane]
    return total


@kernel()
def _average(start, stop, x, rows, columns, y, offset):
    """A unit is a row of bins in a plane; x is (N, C, H, W)."""
    channels, oh, ow = x.shape[1], len(rows), len(columns)
    sums = np.empty(x.shape[3], x.dtype)
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        n, c = divmod(plane, channels)
        sums[:] = 0
        for r in range(rows[p, 0], rows[p, 1]):
            _add(x[n, c, r], sums)
        out = y[n, offset + (c * oh + p) * ow :]
        for q in range(ow):
            pixels = max(rows[p, 2] * columns[q, 2], 1)
            out[q] = _total(sums[columns[q, 0] : columns[q, 1]]) / x.dtype.type(pixels)


@kernel()
def _spread(start, stop, rows, columns, gy, gx, offset, add):
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
            if not add:
                out[:] = 0
            while first < oh and rows[first, 1] <= r:
                first += 1
            p = first
            while p < oh and rows[p, 0] <= r:
                _add(shares[p], out)
                p += 1


@kernel()
def _largest(start, stop, x, rows, columns, y, switches, offset, nowhere):
    """A unit is a row of bins in a plane. ``nowhere`` is of the integer type that places have."""
    channels, oh, ow = x.shape[1], len(rows), len(columns)
    width = x.shape[3]
    best, place = np.empty(width, x.dtype), np.full(width, nowhere)
    for unit in range(start, stop):
        plane, p = divmod(unit, oh)
        n, c = divmod(plane, channels)
        best[:], place[:] = -np.inf, nowhere
        for r in range(rows[p, 0], rows[p, 1]):
            values, here = x[n, c, r], r * width
            if r == rows[p, 0]:
                for i in range(width):
                    best[i], place[i] = values[i], here + i
            else:
                for i in range(width):
                    if wins(values[i], best[i]):
                        best[i], place[i] = values[i], here + i
        at = offset + (c * oh + p) * ow
        for q in range(ow):
            largest, there = x.dtype.type(-np.inf), nowhere
            for s in range(columns[q, 0], columns[q, 1]):
                if wins_at(best[s], place[s], largest, there):
                    largest, there = best[s], place[s]
            y[n, at + q] = largest
            switches[n, at + q] = there if there != nowhere else -1


@kernel()
def _scatter(start, stop, switches, gy, gx, offset, count, add):
    """Each gradient goes to the pixel in its switch. A unit is a plane of ``count`` bins."""
    channels = gx.shape[1]
    for unit in range(start, stop):
        n, c = divmod(unit, channels)
        image = gx[n, c].reshape(gx.shape[2] * gx.shape[3])
        first = offset + c * count
        places, grads = switches[n, first : first + count], gy[n, first : first + count]
        if not add:
            image[:] = 0
        for i in range(len(grads)):
            if 0 <= places[i] < len(image):  # the caller may have written more
                image[places[i]] += grads[i]


def average(x: Array, rows: Bins, columns: Bins, y: Array, offset: int = 0) -> None:
    """Fill ``y[n, offset : offset + C * OH * OW]`` with the means of an image's bins."""
    n, c = x.shape[:2]
    launch(_average, n * c * len(rows), x.size, x, _table(rows), _table(columns), y, offset)


def spread(
    gy: Array, rows: Bins, columns: Bins, gx: Array, offset: int = 0, add: bool = False
) -> None:
    """The transpose of :func:`average`."""
    n, c = gx.shape[:2]
    launch(_spread, n * c, gx.size, _table(rows), _table(columns), gy, gx, offset, add)


def largest(
    x: Array, rows: Bins, columns: Bins, y: Array, switches: Array, offset: int = 0
) -> None:
    """The same for the maxima, and where they stand in their plane."""
    n, c, h, w = x.shape
    nowhere = NARROW if h * w <= NARROW else np.iinfo(np.int64).max
    launch(_largest, n * c * len(rows), 2 * x.size, x, _table(rows), _table(columns), y, switches,
           offset, nowhere)  # fmt: skip


def scatter(
    switches: Array, gy: Array, gx: Array, count: int, offset: int = 0, add: bool = False
) -> None:
    """The gradient of :func:`largest`: ``count`` bins of a plane add up in their order."""
    n, c = gx.shape[:2]
    launch(_scatter, n * c, gx.size, switches, gy, gx, offset, count, add)


def _table(bins: Bins) -> Array:
    table = np.array(bins, np.int64).reshape(len(bins), 3)
    table.flags.writeable = False
    return table
