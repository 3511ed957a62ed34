"""Averages over the bins of regions, whose weights are separable.

With a row of weights for each bin along either axis, a region's average is ``Wy X Wx'``, its
gradient ``Wy' dY Wx``. The rows are sparse and are tabulated once for all channels. Then a unit is
a block of channels of one image: it brings the part of these planes that regions touch into an
order in which the channels lie side by side, goes through the image's regions in their order, and
every step is a vector operation over columns and channels.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from numseg.kernels.jit import kernel, rule
from numseg.kernels.lanes import LANES, blocks_of, load, store
from numseg.kernels.parallel import launch
from numseg.typing import Array


class Sizes(NamedTuple):
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


def averages(index: Array, rows: Weights, columns: Weights, counts: Array, s: Sizes) -> Averages:
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


def average(x: Array, a: Averages, y: Array, s: Sizes) -> None:
    """The averages of x."""
    launch(_average, s.n * blocks_of(s.c), 8 * y.size, x, a, _planes(y, s), s)


def spread(gy: Array, a: Averages, gx: Array, s: Sizes) -> None:
    """Their gradient for x."""
    launch(_spread, s.n * blocks_of(s.c), 8 * gy.size, _planes(gy, s), a, gx, s)


def motion(x: Array, gy: Array, a: Averages, s: Sizes) -> tuple[Array, Array]:
    """Their gradient when the samples of a region move along, and when they move in proportion to
    where they lie in the box: along the rows [0] and the columns [1], (2, K) each."""
    moved = np.zeros((blocks_of(s.c), 4, s.k))
    launch(_motion, s.n * blocks_of(s.c), 8 * gy.size, x, a, _planes(gy, s), moved, s)
    total = moved.sum(0)
    return total[::2], total[1::2]


def _planes(y: Array, s: Sizes) -> Array:
    return y.reshape(s.k, s.c, s.oh * s.ow)


contracted = functools.partial(rule, fastmath={"contract"})


@contracted
def _add(out, factor, row):
    for i in range(len(out)):
        out[i] += factor * row[i]


@contracted
def _combine(out, first, end, factor, pixel, origin, lanes):
    """``out = sum over entries of factor * lanes[pixel - origin]``, side by side."""
    out[:] = 0
    for e in range(first, end):
        at = (pixel[e] - origin) * LANES
        _add(out, factor[e], lanes[at : at + len(out)])


@kernel({"contract"})
def _average(start, stop, x, a, y, s):
    blocks, rows, columns = blocks_of(s.c), a.rows, a.columns
    sums = np.zeros((s.oh * s.ow, LANES), x.dtype)
    line = np.zeros((1, s.w * LANES), x.dtype)[0]
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        c0, c1 = block * LANES, min((block + 1) * LANES, s.c)
        mine = a.order[a.image[n] : a.image[n + 1]]
        r0, r1, s0, s1 = a.tile[n, 0], a.tile[n, 1], a.tile[n, 2], a.tile[n, 3]
        tile = load(x[n, c0:c1], r0, r1, s0, s1)
        for k in mine:
            left, right = a.span[k, 0], a.span[k, 1]
            part = line[: (right - left) * LANES]
            for p in range(s.oh):
                part[:] = 0
                for e in range(rows.first[k, p], rows.end[k, p]):
                    at = (left - s0) * LANES
                    row = tile[rows.pixel[e] - r0, at : at + len(part)]
                    _add(part, rows.values[0, e], row)
                for q in range(s.ow):
                    _combine(sums[p * s.ow + q], columns.first[k, q], columns.end[k, q],
                             columns.values[0], columns.pixel, left, part)  # fmt: skip
            for c in range(c1 - c0):
                out = y[k, c0 + c]
                for b in range(s.oh * s.ow):
                    out[b] = sums[b, c] / a.counts[k]


@rule
def _load_shares(gy, count, shares):
    """``grad_y`` of one RoI over its number of samples, one channel beside the other."""
    for c in range(len(gy)):
        for b in range(len(shares)):
            shares[b, c] = gy[c, b] / count


@kernel({"contract"})
def _spread(start, stop, gy, a, gx, s):
    blocks, rows, columns = blocks_of(s.c), a.rows, a.columns
    shares = np.zeros((s.oh * s.ow, LANES), gx.dtype)
    line = np.zeros((1, s.w * LANES), gx.dtype)[0]
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        c0, c1 = block * LANES, min((block + 1) * LANES, s.c)
        mine = a.order[a.image[n] : a.image[n + 1]]
        r0, r1, s0, s1 = a.tile[n, 0], a.tile[n, 1], a.tile[n, 2], a.tile[n, 3]
        tile = np.zeros((r1 - r0, (s1 - s0) * LANES), gx.dtype)
        for k in mine:
            left, right = a.span[k, 0], a.span[k, 1]
            part = line[: (right - left) * LANES]
            _load_shares(gy[k, c0:c1], a.counts[k], shares)
            for p in range(s.oh):
                part[:] = 0
                for q in range(s.ow):
                    for e in range(columns.first[k, q], columns.end[k, q]):
                        at = (columns.pixel[e] - left) * LANES
                        _add(part[at : at + LANES], columns.values[0, e], shares[p * s.ow + q])
                for e in range(rows.first[k, p], rows.end[k, p]):
                    at = (left - s0) * LANES
                    row = tile[rows.pixel[e] - r0, at : at + len(part)]
                    _add(row, rows.values[0, e], part)
        store(tile, gx[n, c0:c1], r0, r1, s0, s1)


@rule
def _dot(one, two):
    total = 0.0
    for i in range(len(one)):
        total += np.float64(one[i]) * two[i]
    return total


LINE, FACTOR = (1, 2, 0, 0), (0, 0, 1, 2)
"""Which of the values the rows' weights are, and the columns', in each of the four sums."""


@kernel({"contract"})
def _motion(start, stop, x, a, gy, moved, s):
    """What each block of channels contributes: along the rows when all samples move, when they move
    in proportion, along the columns alike. One piece of code for the four: it is compiled once."""
    blocks, rows, columns = blocks_of(s.c), a.rows, a.columns
    shares = np.zeros((s.oh * s.ow, LANES), x.dtype)
    lines = np.zeros((3, s.w * LANES), x.dtype)
    value = np.zeros((1, LANES), x.dtype)[0]
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        c0, c1 = block * LANES, min((block + 1) * LANES, s.c)
        mine = a.order[a.image[n] : a.image[n + 1]]
        r0, r1, s0, s1 = a.tile[n, 0], a.tile[n, 1], a.tile[n, 2], a.tile[n, 3]
        tile = load(x[n, c0:c1], r0, r1, s0, s1)
        for k in mine:
            left, right = a.span[k, 0], a.span[k, 1]
            width, at = (right - left) * LANES, (left - s0) * LANES
            _load_shares(gy[k, c0:c1], a.counts[k], shares)
            for p in range(s.oh):
                for t in range(3):
                    part = lines[t, :width]
                    part[:] = 0
                    for e in range(rows.first[k, p], rows.end[k, p]):
                        row = tile[rows.pixel[e] - r0, at : at + width]
                        _add(part, rows.values[t, e], row)
                for q in range(s.ow):
                    first, end, share = columns.first[k, q], columns.end[k, q], shares[p * s.ow + q]
                    for m in range(4):
                        _combine(value, first, end, columns.values[FACTOR[m]], columns.pixel, left,
                                 lines[LINE[m]])  # fmt: skip
                        moved[block, m, k] += _dot(value, share)
