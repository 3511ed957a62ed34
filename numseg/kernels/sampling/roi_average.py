"""Averages over the bins of regions, whose weights are separable.

With a row of weights for each bin along either axis, a region's average is ``Wy X Wx'``, its
gradient ``Wy' dY Wx``. The rows are sparse and are tabulated once for all channels. Then a unit is
a block of channels of one image: it brings the part of these planes that regions touch into an
order in which the channels lie side by side, and goes through the image's regions in their order.
A bin's weights meet all the columns of a region in one call, then all the rows of bins.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.scratch import aligned
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import (
    NONTEMPORAL_BYTES,
    copy_nontemporal,
    fence_nontemporal,
    prefetch,
)
from numseg.kernels.sampling.channels_last import (
    LANES,
    blocks_of,
    load_rows,
    store_rows,
    to_channels_last,
    to_planes,
)
from numseg.kernels.sampling.weighted_sums import GROUP, add_weighted_sums, weighted_sums
from numseg.typing import Array


class RoiShape(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int


class Weights(NamedTuple):
    """Along one axis, for bin p of region k: entries ``first[k, p]`` up to ``end[k, p]``."""

    first: Array
    end: Array
    pixel: Array
    values: Array
    """(3, entries): the weight, summed over the bin's samples at this pixel; its derivative when
    all samples move along; the same, each sample weighed by where it lies in the box (0 to 1)."""
    reach: Array
    """The pixels that bin p has weights for lie from ``reach[k, p, 0]`` up to ``[k, p, 1]``."""


class Averages(NamedTuple):
    """What the regions of a call read."""

    rows: Weights
    columns: Weights
    counts: Array
    """What the sums of region k are divided by."""
    order: Array
    """The regions by their images."""
    image: Array
    """Where in that order those of image n begin."""
    tile: Array
    """What all regions of image n read: the first row, the last + 1, columns alike: (N, 4)."""
    span: Array
    """What region k reads: the first column, the last + 1: (K, 2)."""


def by_image(index: Array, images: int) -> tuple[Array, Array]:
    """The regions sorted by their image; where in that order each image begins."""
    order = np.argsort(index, kind="stable")
    return order, np.searchsorted(index[order], np.arange(images + 1))


def averages(index: Array, rows: Weights, columns: Weights, counts: Array, s: RoiShape) -> Averages:
    tile = np.zeros((s.n, 2, 2), np.int64)
    for axis, weights, pixels in ((0, rows, s.h), (1, columns, s.w)):
        low, high = weights.reach[..., 0].min(1), weights.reach[..., 1].max(1)
        tile[:, axis, 0] = pixels
        np.minimum.at(tile[:, axis, 0], index, low)
        np.maximum.at(tile[:, axis, 1], index, high)
    np.minimum(tile[..., 0], tile[..., 1], out=tile[..., 0])  # nothing, where there is no pixel
    span = np.stack([np.minimum(low, high), high], 1)
    counts = np.maximum(counts, 1).astype(rows.values.dtype)
    return Averages(rows, columns, counts, *by_image(index, s.n), tile.reshape(s.n, 4), span)


def average(x: Array, a: Averages, y: Array, s: RoiShape) -> None:
    """The averages of x."""
    launch(_average, s.n * blocks_of(s.c), 8 * y.size, x.reshape(-1), a, y.reshape(-1),
           y.nbytes >= NONTEMPORAL_BYTES, s)  # fmt: skip


def average_gradient(gy: Array, a: Averages, gx: Array, s: RoiShape) -> None:
    """Their gradient for x."""
    launch(
        _average_gradient, s.n * blocks_of(s.c), 8 * gy.size, gy.reshape(-1), a, gx.reshape(-1), s
    )


def box_gradient(x: Array, gy: Array, a: Averages, s: RoiShape) -> tuple[Array, Array]:
    """Their gradient when the samples of a region move along, and when they move in proportion to
    where they lie in the box: along the rows [0] and the columns [1], (2, K) each."""
    moved = np.zeros((blocks_of(s.c), 4, s.k))
    flat = x.reshape(-1), a, gy.reshape(-1)
    launch(_box_gradient, s.n * blocks_of(s.c), 8 * gy.size, *flat, moved, s)
    total = moved.sum(0)
    return total[::2], total[1::2]


@rule
def _room(pixels, dtype):
    """Scratch for pixels of LANES channels, and for those that a count is rounded up by."""
    return aligned(np.zeros((pixels + GROUP + 1) * LANES, dtype))


@rule
def _part(unit, a, s):
    """Of a unit the image, its block of channels and where its planes begin; how many channels it
    has; and what its regions read: the first row and column, and how many of either."""
    n, block = divmod(unit, blocks_of(s.c))
    first = (n * s.c + block * LANES) * s.h * s.w
    r0, r1, s0, s1 = a.tile[n, 0], a.tile[n, 1], a.tile[n, 2], a.tile[n, 3]
    return n, block, first, min(LANES, s.c - block * LANES), r0, s0, r1 - r0, s1 - s0


@rule
def _along_rows(tile, corner, width, rows, factor, k, p0, p1, lines, line, span):
    """``lines[p - p0]``: for each column of region k, the sum over the rows of its bin p."""
    for p in range(p0, p1):
        weighted_sums(lines, (p - p0) * line, LANES, factor,
                rows.pixel, rows.first[k, p], rows.end[k, p],
                tile, corner, LANES, width, span, None)  # fmt: skip


@rule
def _along_columns(lines, line, left, columns, factor, k, count, sums, at, bins, over):
    """``sums[p, q]``: for each of the lines p, the sum over the columns of bin q, over ``over``."""
    for q in range(bins):
        weighted_sums(sums, at + q * LANES, bins * LANES, factor,
                columns.pixel, columns.first[k, q], columns.end[k, q],
                lines, -left * LANES, line, LANES, count, over)  # fmt: skip


@kernel()
def _average(start, stop, x, a, y, large, s):
    bins, rows, columns = s.oh * s.ow, a.rows, a.columns
    along_y, along_x = rows.values[0], columns.values[0]
    lines, sums = _room(GROUP * (s.w + GROUP), x.dtype), _room((s.oh + GROUP) * s.ow, x.dtype)
    result = np.empty(LANES * bins, x.dtype)
    for unit in range(start, stop):
        n, block, first, channels, r0, s0, height, width = _part(unit, a, s)
        tile = _room(height * width, x.dtype)
        load_rows(x, first + r0 * s.w + s0, s.h * s.w, s.w, channels, tile, height, width)
        for k in a.order[a.image[n] : a.image[n + 1]]:
            left, span = a.span[k, 0], a.span[k, 1] - a.span[k, 0]
            line, corner = (span + GROUP) * LANES, (left - s0 - r0 * width) * LANES
            for p in range(0, s.oh, GROUP):
                count, at = min(GROUP, s.oh - p), p * s.ow * LANES
                _along_rows(tile, corner, width * LANES, rows, along_y, k, p, p + count,
                            lines, line, span)  # fmt: skip
                _along_columns(lines, line, left, columns, along_x, k, count,
                               sums, at, s.ow, a.counts[k])  # fmt: skip
            at = (k * s.c + block * LANES) * bins
            if not large:
                to_planes(sums, 0, bins, y, at, bins, channels)
            else:
                to_planes(sums, 0, bins, result, 0, bins, channels)
                copy_nontemporal(result, 0, y, at, channels * bins)
    fence_nontemporal()


@kernel()
def _average_gradient(start, stop, gy, a, gx, s):
    """The same in reverse: a column's weights spread the shares over lines, a row's the lines."""
    bins, rows, columns = s.oh * s.ow, a.rows, a.columns
    along_y, along_x = rows.values[0], columns.values[0]
    shares = _room((s.oh + GROUP) * s.ow, gx.dtype)
    lines = _room((s.oh + GROUP) * (s.w + GROUP), gx.dtype)
    for unit in range(start, stop):
        n, block, first, channels, r0, s0, height, width = _part(unit, a, s)
        tile = _room(height * width, gx.dtype)
        mine = a.order[a.image[n] : a.image[n + 1]]
        for i in range(len(mine)):
            k, following = mine[i], mine[min(i + 1, len(mine) - 1)]
            at = (following * s.c + block * LANES) * bins
            prefetch(gy, at, at + channels * bins)  # regions lie far apart in gy
            left, span = a.span[k, 0], a.span[k, 1] - a.span[k, 0]
            line, corner = (span + GROUP) * LANES, (left - s0 - r0 * width) * LANES
            to_channels_last(gy, (k * s.c + block * LANES) * bins, bins, channels, shares, 0, bins)
            for b in range(bins * LANES):
                shares[b] /= a.counts[k]
            used = lines[: s.oh * line]
            used[:] = 0
            for q in range(s.ow):
                for e in range(columns.first[k, q], columns.end[k, q]):
                    add_weighted_sums(lines, (columns.pixel[e] - left) * LANES, line,
                                 along_x, columns.pixel, e, e + 1,
                                 shares, q * LANES, s.ow * LANES, 0, s.oh, None)  # fmt: skip
            for p in range(s.oh):
                for e in range(rows.first[k, p], rows.end[k, p]):
                    add_weighted_sums(tile, corner + rows.pixel[e] * width * LANES, LANES,
                                 along_y, rows.pixel, e, e + 1,
                                 lines, p * line, LANES, 0, span, None)  # fmt: skip
        planes = gx[first : first + channels * s.h * s.w]
        planes[:] = 0
        store_rows(tile, height, width, gx, first + r0 * s.w + s0, s.h * s.w, s.w, channels)


@functools.partial(rule, fastmath={"contract", "reassoc"})  # or they were added up one by one
def _dot(one, two, first, count):
    one, two, total = one[first : first + count], two[first : first + count], 0.0
    for i in range(count):
        total += np.float64(one[i]) * two[i]
    return total


LINE, FACTOR = (1, 2, 0, 0), (0, 0, 1, 2)
"""Which of the values the rows' weights are, and the columns', in each of the four sums."""


@kernel()
def _box_gradient(start, stop, x, a, gy, moved, s):
    """What each block of channels contributes: along the rows when all samples move, when they move
    in proportion, along the columns alike. One piece of code for the four: it is compiled once."""
    bins, rows, columns = s.oh * s.ow, a.rows, a.columns
    lines, sums = _room(GROUP * (s.w + GROUP), x.dtype), _room((s.oh + GROUP) * s.ow, x.dtype)
    grads = _room(bins, x.dtype)
    for unit in range(start, stop):
        n, block, first, channels, r0, s0, height, width = _part(unit, a, s)
        tile = _room(height * width, x.dtype)
        load_rows(x, first + r0 * s.w + s0, s.h * s.w, s.w, channels, tile, height, width)
        if channels < LANES:
            grads[:] = 0  # of the channels that there are not
        for k in a.order[a.image[n] : a.image[n + 1]]:
            left, span = a.span[k, 0], a.span[k, 1] - a.span[k, 0]
            line, corner = (span + GROUP) * LANES, (left - s0 - r0 * width) * LANES
            to_channels_last(gy, (k * s.c + block * LANES) * bins, bins, channels, grads, 0, bins)
            for p in range(0, s.oh, GROUP):
                count, at = min(GROUP, s.oh - p), p * s.ow * LANES
                for m in range(4):
                    if m < 3:  # the last two read the same lines
                        _along_rows(tile, corner, width * LANES, rows, rows.values[LINE[m]],
                                    k, p, p + count, lines, line, span)  # fmt: skip
                    _along_columns(lines, line, left, columns, columns.values[FACTOR[m]], k, count,
                                   sums, at, s.ow, a.counts[k])  # fmt: skip
                    moved[block, m, k] += _dot(sums, grads, at, count * s.ow * LANES)
