"""roi_align on the CPU.

An average has separable weights: they are tabulated here, numseg/kernels/regions.py does the rest.
A maximum has no such structure. Forward: a unit is a RoI; backward: a plane.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.jit import kernel, rule
from numseg.kernels.parallel import launch
from numseg.kernels.regions import (
    Averages,
    Sizes,
    Weights,
    average,
    averages,
    by_image,
    motion,
    spread,
)
from numseg.ops.roi_align import Geometry, check
from numseg.ops.roi_align.rules import neighbours, position, rounded, samples, span
from numseg.typing import Array


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
                if neighbours(place, pixels, g.clamp)[0]:
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
            _, low, high, upper, slope = neighbours(place, pixels, g.clamp)
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
                    weights.values[0, here] = 0
                    weights.values[1, here] = 0
                    weights.values[2, here] = 0
                    end += 1
                weights.values[0, here] += upper if corner else 1 - upper
                weights.values[1, here] += slope if corner else -slope
                weights.values[2, here] += (slope if corner else -slope) * share
        weights.end[k, p] = end
        weights.reach[k, p, 0], weights.reach[k, p, 1] = least, most


# -- the largest sample ---------------------------------------------------------------------------


@rule
def _candidates(boxes, k, p):
    """The samples that may be the largest of a bin: of those outside, all 0, the last before and
    the first after the others stand for the rest."""
    return range(max(boxes.first[k, p] - 1, 0), min(boxes.end[k, p] + 1, boxes.number[k]))


@rule
def _largest(plane, rows, columns, k, p, q, g):
    """The value of bin (p, q), and of its winner the sample (i, j) and the corner, 0 to 3."""
    best, at_i, at_j, corner = 0.0, -1, -1, 0
    for i in _candidates(rows, k, p):
        y = position(rows.start[k], rows.step[k], p, i, rows.number[k], g.single)
        inside_y, r0, r1, wy, _ = neighbours(y, g.h, g.clamp)
        for j in _candidates(columns, k, q):
            x = position(columns.start[k], columns.step[k], q, j, columns.number[k], g.single)
            inside_x, s0, s1, wx, _ = neighbours(x, g.w, g.clamp)
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


@rule
def _pass_on(share, plane, grad, rows, columns, k, p, q, i, j, corner, g):
    """Give the winner's share to its pixels, or to that of its corner; returns what the share
    changes by when the sample moves along the rows, and along the columns."""
    y = position(rows.start[k], rows.step[k], p, i, rows.number[k], g.single)
    x = position(columns.start[k], columns.step[k], q, j, columns.number[k], g.single)
    inside_y, r0, r1, wy, slope_y = neighbours(y, g.h, g.clamp)
    inside_x, s0, s1, wx, slope_x = neighbours(x, g.w, g.clamp)
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
    pixel, reach = np.empty(entries, np.int64), np.empty((g.k, bins, 2), np.int64)
    weights = Weights(first, np.empty_like(first), pixel, np.zeros((3, entries)), reach)
    launch(_tabulate, g.k * bins, entries, boxes, pixels, bins, g, weights)
    return weights._replace(values=weights.values.astype(dtype, copy=False))


def _averages(index: Array, rows: Samples, columns: Samples, g: Geometry, dtype: type) -> Averages:
    counts = rows.number.astype(np.float64) * columns.number
    along_y, along_x = _weights(rows, g.h, g.oh, g, dtype), _weights(columns, g.w, g.ow, g, dtype)
    return averages(index, along_y, along_x, counts, _sizes(g))


def _sizes(g: Geometry) -> Sizes:
    return Sizes(g.n, g.c, g.h, g.w, g.k, g.oh, g.ow)


def _planes(y: Array, g: Geometry) -> Array:
    return y.reshape(g.k, g.c, g.oh * g.ow)


def forward(x: Array, rois: Array, y: Array, g: Geometry) -> None:
    index = rois[:, 0].astype(np.int64)
    rows, columns = _boxes(rois, g)
    if g.maximum:
        work = 8 * y.size
        launch(_forward_maximum, g.k, work, x, index, rows, columns, _planes(y, g), g)
    else:
        average(x, _averages(index, rows, columns, g, x.dtype.type), y, _sizes(g))


def backward(
    x: Array, rois: Array, gy: Array, gx: Array | None, grois: Array | None, g: Geometry
) -> None:
    check(x, rois, g)  # again: they may have been written to since forward
    index = rois[:, 0].astype(np.int64)
    rows, columns = _boxes(rois, g)
    if g.maximum:
        target = np.empty_like(x) if gx is None else gx
        moved = np.zeros((2, g.c, 2, g.k))
        launch(_backward_maximum, g.n * g.c, 8 * gy.size, x, rows, columns, *by_image(index, g.n),
               _planes(gy, g), target, moved[0], moved[1], g)  # fmt: skip
        by_place, by_size = moved.sum(1)
    else:
        table = _averages(index, rows, columns, g, x.dtype.type)
        if gx is not None:
            spread(gy, table, gx, _sizes(g))
        if grois is not None:
            by_place, by_size = motion(x, gy, table, _sizes(g))
    if grois is not None:
        grois[:, 0] = 0
        for axis, low, high in ((0, 2, 4), (1, 1, 3)):
            # The places are start + fraction * size: a box's first coordinate moves all of a sample
            # but that fraction, its last coordinate the fraction.
            grois[:, low] = g.scale * (by_place[axis] - by_size[axis])
            grois[:, high] = g.scale * by_size[axis]
