"""roi_align on the CPU.

The weights of a bin's samples are separable: with a row of weights for each bin along either axis,
an average is ``Wy X Wx'``, its gradient ``Wy' dY Wx``. The rows are sparse and are tabulated once
for all channels. Then a unit is a block of channels of one image: it brings the part of these
planes that RoIs touch into an order in which the channels lie side by side, goes through the
image's RoIs in their order, and every step is a vector operation over columns and channels.

A maximum has no such structure. Forward: a unit is a RoI; backward: a plane.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.lanes import LANES, blocks_of, load, store
from numseg.kernels.parallel import launch
from numseg.ops.roi_align import Geometry, check
from numseg.ops.roi_align.rules import neighbours, position, rounded, samples, span
from numseg.typing import Array


class Weights(NamedTuple):
    """Along one axis, for bin p of RoI k: entries ``first[k, p]`` up to ``end[k, p]``."""

    first: Array
    end: Array
    pixel: Array
    value: Array
    """Summed over the bin's samples at this pixel."""
    by_place: Array
    """Derivative of ``value`` when all samples move along."""
    by_size: Array
    """The same, each sample weighed by where it lies in the box, from 0 to 1."""
    reach: Array
    """The pixels that bin p has weights for lie from ``reach[k, p, 0]`` up to ``[k, p, 1]``."""


class Parts(NamedTuple):
    """Which pixels are read."""

    tile: Array
    """By all RoIs of image n together: the first row, the last + 1, the columns alike: (N, 4)."""
    columns: Array
    """By RoI k: the first column, and the last + 1: (K, 2)."""


class Samples(NamedTuple):
    """Along one axis, for RoI k: the box, and the number of samples in each of its bins."""

    start: Array
    step: Array
    free: Array
    """1, or 0 where the size is not the box's own."""
    number: Array
    first: Array
    """For bin p: its first sample that is not outside (neither are those up to ``end``)."""
    end: Array


@kernel()
def _spans(start, stop, low, high, pixels, bins, g, boxes):
    for k in range(start, stop):
        begin, size, free = span(low[k], high[k], g.scale, g.aligned, g.single)
        step = rounded(size / bins, g.single)
        boxes.start[k], boxes.step[k], boxes.free[k] = begin, step, free
        boxes.number[k] = samples(step, g.ratio)
        for p in range(bins):
            first, end = 0, 0
            for i in range(boxes.number[k]):
                place = position(begin, step, p, i, boxes.number[k], g.single)
                if neighbours(place, pixels)[0]:
                    first = first if first < end else i
                    end = i + 1
            boxes.first[k, p], boxes.end[k, p] = first, end


@kernel()
def _tabulate(start, stop, boxes, pixels, bins, g, weights):
    """Write each bin's entries; samples in a row share pixels, so one looks back at most two."""
    for unit in range(start, stop):
        k, p = divmod(unit, bins)
        end = weights.first[k, p]
        least, most = pixels, 0
        for i in range(boxes.first[k, p], boxes.end[k, p]):
            place = position(boxes.start[k], boxes.step[k], p, i, boxes.number[k], g.single)
            _, low, high, upper, slope = neighbours(place, pixels)
            share = (p + (i + 0.5) / boxes.number[k]) / bins * boxes.free[k]
            recent = max(end - 2, weights.first[k, p])
            least, most = min(least, low), max(most, high + 1)
            for corner in range(2):
                pixel = high if corner else low
                here = recent
                while here < end and weights.pixel[here] != pixel:
                    here += 1
                if here == end:
                    weights.pixel[here] = pixel
                    weights.value[here] = 0
                    weights.by_place[here] = 0
                    weights.by_size[here] = 0
                    end += 1
                weights.value[here] += upper if corner else 1 - upper
                weights.by_place[here] += slope if corner else -slope
                weights.by_size[here] += (slope if corner else -slope) * share
        weights.end[k, p] = end
        weights.reach[k, p, 0], weights.reach[k, p, 1] = least, most


contracted = numba.njit(error_model="numpy", fastmath={"contract"})


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
def _forward_average(start, stop, x, rows, columns, counts, order, image, parts, y, g):
    blocks = blocks_of(g.c)
    sums = np.zeros((g.oh * g.ow, LANES), x.dtype)
    line = np.zeros((1, g.w * LANES), x.dtype)[0]
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        c0, c1 = block * LANES, min((block + 1) * LANES, g.c)
        mine = order[image[n] : image[n + 1]]
        r0, r1, s0, s1 = parts.tile[n, 0], parts.tile[n, 1], parts.tile[n, 2], parts.tile[n, 3]
        tile = load(x[n, c0:c1], r0, r1, s0, s1)
        for k in mine:
            left, right = parts.columns[k, 0], parts.columns[k, 1]
            part = line[: (right - left) * LANES]
            for p in range(g.oh):
                part[:] = 0
                for e in range(rows.first[k, p], rows.end[k, p]):
                    at = (left - s0) * LANES
                    row = tile[rows.pixel[e] - r0, at : at + len(part)]
                    _add(part, rows.value[e], row)
                for q in range(g.ow):
                    _combine(sums[p * g.ow + q], columns.first[k, q], columns.end[k, q],
                             columns.value, columns.pixel, left, part)  # fmt: skip
            for c in range(c1 - c0):
                out = y[k, c0 + c]
                for b in range(g.oh * g.ow):
                    out[b] = sums[b, c] / counts[k]


@numba.njit(error_model="numpy")
def _load_shares(gy, count, shares):
    """``grad_y`` of one RoI over its number of samples, one channel beside the other."""
    for c in range(len(gy)):
        for b in range(len(shares)):
            shares[b, c] = gy[c, b] / count


@kernel({"contract"})
def _grad_x_average(start, stop, rows, columns, counts, order, image, parts, gy, gx, g):
    blocks = blocks_of(g.c)
    shares = np.zeros((g.oh * g.ow, LANES), gx.dtype)
    line = np.zeros((1, g.w * LANES), gx.dtype)[0]
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        c0, c1 = block * LANES, min((block + 1) * LANES, g.c)
        mine = order[image[n] : image[n + 1]]
        r0, r1, s0, s1 = parts.tile[n, 0], parts.tile[n, 1], parts.tile[n, 2], parts.tile[n, 3]
        tile = np.zeros((r1 - r0, (s1 - s0) * LANES), gx.dtype)
        for k in mine:
            left, right = parts.columns[k, 0], parts.columns[k, 1]
            part = line[: (right - left) * LANES]
            _load_shares(gy[k, c0:c1], counts[k], shares)
            for p in range(g.oh):
                part[:] = 0
                for q in range(g.ow):
                    for e in range(columns.first[k, q], columns.end[k, q]):
                        at = (columns.pixel[e] - left) * LANES
                        _add(part[at : at + LANES], columns.value[e], shares[p * g.ow + q])
                for e in range(rows.first[k, p], rows.end[k, p]):
                    at = (left - s0) * LANES
                    row = tile[rows.pixel[e] - r0, at : at + len(part)]
                    _add(row, rows.value[e], part)
        store(tile, gx[n, c0:c1], r0, r1, s0, s1)


@numba.njit(error_model="numpy")
def _dot(a, b):
    total = 0.0
    for i in range(len(a)):
        total += np.float64(a[i]) * b[i]
    return total


@kernel({"contract"})
def _grad_rois_average(
    start, stop, x, rows, columns, counts, order, image, parts, gy, by_place, by_size, g
):
    """What each block of channels contributes, along the rows [0] and the columns [1]."""
    blocks = blocks_of(g.c)
    shares = np.zeros((g.oh * g.ow, LANES), x.dtype)
    lines = np.zeros((3, g.w * LANES), x.dtype)
    value = np.zeros((1, LANES), x.dtype)[0]
    for unit in range(start, stop):
        n, block = divmod(unit, blocks)
        c0, c1 = block * LANES, min((block + 1) * LANES, g.c)
        mine = order[image[n] : image[n + 1]]
        r0, r1, s0, s1 = parts.tile[n, 0], parts.tile[n, 1], parts.tile[n, 2], parts.tile[n, 3]
        tile = load(x[n, c0:c1], r0, r1, s0, s1)
        for k in mine:
            left, right = parts.columns[k, 0], parts.columns[k, 1]
            width, at = (right - left) * LANES, (left - s0) * LANES
            _load_shares(gy[k, c0:c1], counts[k], shares)
            y_place = y_size = x_place = x_size = 0.0
            for p in range(g.oh):
                lines[:, :width] = 0
                for e in range(rows.first[k, p], rows.end[k, p]):
                    row = tile[rows.pixel[e] - r0, at : at + width]
                    _add(lines[0, :width], rows.value[e], row)
                    _add(lines[1, :width], rows.by_place[e], row)
                    _add(lines[2, :width], rows.by_size[e], row)
                for q in range(g.ow):
                    first, end, share = columns.first[k, q], columns.end[k, q], shares[p * g.ow + q]
                    _combine(value, first, end, columns.value, columns.pixel, left, lines[1])
                    y_place += _dot(value, share)
                    _combine(value, first, end, columns.value, columns.pixel, left, lines[2])
                    y_size += _dot(value, share)
                    _combine(value, first, end, columns.by_place, columns.pixel, left, lines[0])
                    x_place += _dot(value, share)
                    _combine(value, first, end, columns.by_size, columns.pixel, left, lines[0])
                    x_size += _dot(value, share)
            by_place[block, 0, k], by_size[block, 0, k] = y_place, y_size
            by_place[block, 1, k], by_size[block, 1, k] = x_place, x_size


# -- the largest sample ---------------------------------------------------------------------------


@numba.njit(error_model="numpy")
def _candidates(boxes, k, p):
    """The samples that may be the largest of a bin: of those outside, all 0, the last before and
    the first after the others stand for the rest."""
    return range(max(boxes.first[k, p] - 1, 0), min(boxes.end[k, p] + 1, boxes.number[k]))


@numba.njit(error_model="numpy")
def _largest(plane, rows, columns, k, p, q, g):
    """The value of bin (p, q), and of its winner the sample (i, j) and the corner, 0 to 3."""
    best, at_i, at_j, corner = 0.0, -1, -1, 0
    for i in _candidates(rows, k, p):
        y = position(rows.start[k], rows.step[k], p, i, rows.number[k], g.single)
        inside_y, r0, r1, wy, _ = neighbours(y, g.h)
        for j in _candidates(columns, k, q):
            x = position(columns.start[k], columns.step[k], q, j, columns.number[k], g.single)
            inside_x, s0, s1, wx, _ = neighbours(x, g.w)
            parts = (0.0, 0.0, 0.0, 0.0)
            if inside_y and inside_x:
                parts = ((1 - wy) * (1 - wx) * plane[r0, s0], (1 - wy) * wx * plane[r0, s1],
                         wy * (1 - wx) * plane[r1, s0], wy * wx * plane[r1, s1])  # fmt: skip
            for a in range(4 if g.corners else 1):
                value = parts[a] if g.corners else parts[0] + parts[1] + parts[2] + parts[3]
                if at_i < 0 or value > best or value != value:
                    best, at_i, at_j, corner = value, i, j, a
    return best, at_i, at_j, corner


@kernel()
def _forward_maximum(start, stop, x, index, rows, columns, y, g):
    for k in range(start, stop):
        for c in range(g.c):
            plane = x[index[k], c]
            for p in range(g.oh):
                for q in range(g.ow):
                    y[k, c, p * g.ow + q] = _largest(plane, rows, columns, k, p, q, g)[0]


@kernel()
def _backward_maximum(start, stop, x, rows, columns, order, image, gy, gx, by_place, by_size, g):
    for unit in range(start, stop):
        n, c = divmod(unit, g.c)
        gx[n, c] = 0
        for k in order[image[n] : image[n + 1]]:
            totals = np.zeros(4)
            for p in range(g.oh):
                for q in range(g.ow):
                    _, i, j, corner = _largest(x[n, c], rows, columns, k, p, q, g)
                    if i >= 0:
                        share = gy[k, c, p * g.ow + q]
                        by_y, by_x = _pass_on(
                            share, x[n, c], gx[n, c], rows, columns, k, p, q, i, j, corner, g
                        )
                        totals[0] += by_y
                        totals[1] += by_y * (p + (i + 0.5) / rows.number[k]) / g.oh
                        totals[2] += by_x
                        totals[3] += by_x * (q + (j + 0.5) / columns.number[k]) / g.ow
            by_place[c, 0, k], by_size[c, 0, k] = totals[0], totals[1] * rows.free[k]
            by_place[c, 1, k], by_size[c, 1, k] = totals[2], totals[3] * columns.free[k]


@numba.njit(error_model="numpy")
def _pass_on(share, plane, grad, rows, columns, k, p, q, i, j, corner, g):
    """Give the winner's share to its pixels, or to that of its corner; returns what the share
    changes by when the sample moves along the rows, and along the columns."""
    y = position(rows.start[k], rows.step[k], p, i, rows.number[k], g.single)
    x = position(columns.start[k], columns.step[k], q, j, columns.number[k], g.single)
    inside_y, r0, r1, wy, slope_y = neighbours(y, g.h)
    inside_x, s0, s1, wx, slope_x = neighbours(x, g.w)
    by_y = by_x = 0.0
    if inside_y and inside_x:
        for a in range(4):
            if a == corner or not g.corners:
                below, after = a // 2, a % 2
                r, weight_y = (r1, wy) if below else (r0, 1 - wy)
                s, weight_x = (s1, wx) if after else (s0, 1 - wx)
                grad[r, s] += weight_y * weight_x * share
                by_y += (slope_y if below else -slope_y) * weight_x * plane[r, s]
                by_x += (slope_x if after else -slope_x) * weight_y * plane[r, s]
    return share * by_y, share * by_x


# -- the calls ------------------------------------------------------------------------------------


def _boxes(rois: Array, g: Geometry) -> tuple[Samples, Samples]:
    """The samples along the rows and along the columns."""
    axes = []
    for low, high, pixels, bins in ((2, 4, g.h, g.oh), (1, 3, g.w, g.ow)):
        start, step, free = np.empty((3, g.k))
        first, end = np.empty((2, g.k, bins), np.int64)
        boxes = Samples(start, step, free, np.empty(g.k, np.int64), first, end)
        begin, stop = (np.ascontiguousarray(rois[:, j], np.float64) for j in (low, high))
        launch(_spans, g.k, g.k * bins, begin, stop, pixels, bins, g, boxes)
        axes.append(boxes)
    return axes[0], axes[1]


def _weights(boxes: Samples, pixels: int, bins: int, g: Geometry, dtype: type) -> Weights:
    room = np.repeat(np.minimum(2 * boxes.number, pixels), bins)
    ends = np.cumsum(room)
    first = (ends - room).reshape(g.k, bins)
    entries = int(ends[-1]) if len(ends) else 0
    values = np.zeros((3, entries))
    pixel, reach = np.empty(entries, np.int64), np.empty((g.k, bins, 2), np.int64)
    weights = Weights(first, np.empty_like(first), pixel, values[0], values[1], values[2], reach)
    launch(_tabulate, g.k * bins, entries, boxes, pixels, bins, g, weights)
    values = values.astype(dtype, copy=False)
    return weights._replace(value=values[0], by_place=values[1], by_size=values[2])


def _parts(rows: Weights, columns: Weights, index: Array, g: Geometry) -> Parts:
    tile = np.zeros((g.n, 2, 2), np.int64)
    for axis, weights, pixels in ((0, rows, g.h), (1, columns, g.w)):
        low, high = weights.reach[..., 0].min(1), weights.reach[..., 1].max(1)
        tile[:, axis, 0] = pixels
        np.minimum.at(tile[:, axis, 0], index, low)
        np.maximum.at(tile[:, axis, 1], index, high)
    np.minimum(tile[..., 0], tile[..., 1], out=tile[..., 0])  # nothing, where there is no pixel
    return Parts(tile.reshape(g.n, 4), np.stack([np.minimum(low, high), high], 1))


def by_image(rois: Array, images: int) -> tuple[Array, Array, Array]:
    """Each RoI's image; the RoIs sorted by it; where in that order each image begins."""
    index = rois[:, 0].astype(np.int64)
    order = np.argsort(index, kind="stable")
    return index, order, np.searchsorted(index[order], np.arange(images + 1))


def _planes(y: Array, g: Geometry) -> Array:
    return y.reshape(g.k, g.c, g.oh * g.ow)


def forward(x: Array, rois: Array, y: Array, g: Geometry) -> None:
    index, order, image = by_image(rois, g.n)
    rows, columns = _boxes(rois, g)
    work = y.size * 8
    if g.maximum:
        launch(_forward_maximum, g.k, work, x, index, rows, columns, _planes(y, g), g)
        return
    counts = np.asarray(rows.number.astype(np.float64) * columns.number, x.dtype)
    along_y = _weights(rows, g.h, g.oh, g, x.dtype.type)
    along_x = _weights(columns, g.w, g.ow, g, x.dtype.type)
    launch(_forward_average, blocks_of(g.c) * g.n, work, x, along_y, along_x, np.maximum(counts, 1),
           order, image, _parts(along_y, along_x, index, g), _planes(y, g), g)  # fmt: skip


def backward(
    x: Array, rois: Array, gy: Array, gx: Array | None, grois: Array | None, g: Geometry
) -> None:
    check(x, rois, g)  # again: they may have been written to since forward
    index, order, image = by_image(rois, g.n)
    rows, columns = _boxes(rois, g)
    work = gy.size * 8
    shares = _planes(gy, g)
    by_place, by_size = np.zeros((2, g.c if g.maximum else blocks_of(g.c), 2, g.k))
    if g.maximum:
        target = np.empty_like(x) if gx is None else gx
        launch(_backward_maximum, g.n * g.c, work, x, rows, columns, order, image, shares, target,
               by_place, by_size, g)  # fmt: skip
    else:
        counts = np.asarray(rows.number.astype(np.float64) * columns.number, x.dtype)
        along_y = _weights(rows, g.h, g.oh, g, x.dtype.type)
        along_x = _weights(columns, g.w, g.ow, g, x.dtype.type)
        parts = _parts(along_y, along_x, index, g)
        table = along_y, along_x, np.maximum(counts, 1), order, image, parts, shares
        units = blocks_of(g.c) * g.n
        if gx is not None:
            launch(_grad_x_average, units, work, *table, gx, g)
        if grois is not None:
            launch(_grad_rois_average, units, work, x, *table, by_place, by_size, g)
    if grois is not None:
        _gather(by_place, by_size, rows, columns, grois, g)


def _gather(
    by_place: Array, by_size: Array, rows: Samples, columns: Samples, grois: Array, g: Geometry
) -> None:
    """The places are ``start + fraction * size``: a box's first coordinate moves all of a sample
    but that fraction, its last coordinate the fraction."""
    grois[:, 0] = 0
    for axis, (low, high) in enumerate(((2, 4), (1, 3))):
        place, size = by_place[:, axis].sum(0), by_size[:, axis].sum(0)
        grois[:, low] = g.scale * (place - size)
        grois[:, high] = g.scale * size
