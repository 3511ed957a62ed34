"""roi_align on the CPU.

An average has separable weights: they are tabulated here, and
:mod:`numseg.kernels.sampling.roi_average` does the rest.
A maximum has no such structure, but channels lie side by side there too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.sampling.channels_last import (
    LANES,
    blocks_of,
    candidate,
    load,
    store_rows,
    to_planes,
)
from numseg.kernels.sampling.roi_average import (
    Averages,
    RoiShape,
    Weights,
    average,
    average_gradient,
    averages,
    box_gradient,
    by_image,
)
from numseg.ops.roi_align import reference
from numseg.ops.roi_align.geometry import Geometry, check
from numseg.ops.roi_align.reference import Regions
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
    """Write each bin's entries; samples in a row share pixels, so one looks back at most four: the
    zeros among the weights are entries of their own, or zero times infinity would not be NaN."""
    for unit in range(start, stop):
        k, p = divmod(unit, bins)
        end = weights.first[k, p]
        least, most = pixels, 0
        for i in range(boxes.first[k, p], boxes.end[k, p]):
            place = position(boxes.start[k], boxes.step[k], p, i, boxes.number[k], g.single)
            _, low, high, upper, slope = neighbours(place, pixels, g.clamp)
            share = (p + (i + 0.5) / boxes.number[k]) / bins * boxes.free[k]
            recent = max(end - 4, weights.first[k, p])
            least, most = min(least, low), max(most, high + 1)
            for corner in range(2):
                pixel, weight = (high, upper) if corner else (low, 1 - upper)
                here = recent
                while here < end and not (
                    weights.pixel[here] == pixel and (weights.values[0, here] == 0) == (weight == 0)
                ):
                    here += 1
                if here == end:
                    weights.pixel[here] = pixel
                    weights.values[0, here] = 0
                    weights.values[1, here] = 0
                    weights.values[2, here] = 0
                    end += 1
                weights.values[0, here] += weight
                weights.values[1, here] += slope if corner else -slope
                weights.values[2, here] += (slope if corner else -slope) * share
        weights.end[k, p] = end
        weights.reach[k, p, 0], weights.reach[k, p, 1] = least, most


# -- the largest sample ---------------------------------------------------------------------------


class Places(NamedTuple):
    """Along one axis, the samples that may be the largest of a bin: those that are not outside. Of
    the others, all 0, the last before and the first after stand for the rest."""

    begin: Array
    """Where the entries of a bin begin, bin by bin of RoI by RoI, and where the last one's end."""
    pixels: Array
    """The pixels before and after a sample, or -1."""
    weights: Array
    """The weight of the one after; 1 if it grows with the place; where in the box the sample lies
    (0 to 1), 0 if the size is not the box's own."""
    reach: Array
    """What RoI k reads: the first pixel, and the one after the last."""


@kernel()
def _locate(start, stop, boxes, pixels, bins, g, places):
    for k in range(start, stop):
        places.reach[k, 0], places.reach[k, 1] = pixels, 0
        for p in range(bins):
            e = places.begin[k * bins + p]
            i = max(boxes.first[k, p] - 1, 0)
            while e < places.begin[k * bins + p + 1]:
                place = position(boxes.start[k], boxes.step[k], p, i, boxes.number[k], g.single)
                inside, low, high, upper, slope = neighbours(place, pixels, g.clamp)
                places.pixels[e, 0], places.pixels[e, 1] = low if inside else -1, high
                places.weights[e, 0], places.weights[e, 1] = upper, slope
                places.weights[e, 2] = (p + (i + 0.5) / boxes.number[k]) / bins * boxes.free[k]
                if inside:
                    places.reach[k, 0] = min(places.reach[k, 0], low)
                    places.reach[k, 1] = max(places.reach[k, 1], high + 1)
                e, i = e + 1, i + 1


@rule
def _part(places, mine, pixels):
    """What some RoIs read: the first pixel, and the one after the last."""
    low, high = pixels, 0
    for k in mine:
        low, high = min(low, places.reach[k, 0]), max(high, places.reach[k, 1])
    return min(low, high), high


@rule
def _corners(rows, columns, e, f, r0, s0, width):
    """The pixels around a sample in a tile that begins at (r0, s0), and their weights."""
    above, below = (rows.pixels[e, 0] - r0) * width - s0, (rows.pixels[e, 1] - r0) * width - s0
    left, right = columns.pixels[f, 0], columns.pixels[f, 1]
    wy, wx = rows.weights[e, 0], columns.weights[f, 0]
    pixels = ((above + left) * LANES, (above + right) * LANES,
              (below + left) * LANES, (below + right) * LANES)  # fmt: skip
    return pixels, ((1 - wy) * (1 - wx), (1 - wy) * wx, wy * (1 - wx), wy * wx)


_nothing, _product, _sum = candidate(0), candidate(1), candidate(4)


@rule
def _largest(tile, r0, s0, width, rows, columns, k, b, g, best, winner, at):
    """The values of bin b in the channels of a tile, from ``best[at]`` on, and who won: -1,
    for nobody on the image, or the entries of its row and column, and the corner, as one number."""
    for lane in range(LANES):
        best[at + lane], winner[at + lane] = 0.0, -1
    first, (p, q) = True, divmod(b, g.ow)
    p, q = k * g.oh + p, k * g.ow + q
    for e in range(rows.begin[p], rows.begin[p + 1]):
        for f in range(columns.begin[q], columns.begin[q + 1]):
            if rows.pixels[e, 0] >= 0 and columns.pixels[f, 0] >= 0:
                pixels, weights = _corners(rows, columns, e, f, r0, s0, width)
                number = e << 32 | f << 2
                if g.corners:
                    for a in range(4):
                        _product(tile, (pixels[a],), (weights[a],), number + a, first and a == 0,
                                 best, winner, at)  # fmt: skip
                else:
                    _sum(tile, pixels, weights, number, first, best, winner, at)
            else:
                _nothing(tile, (0,), (0.0,), -1, first, best, winner, at)
            first = False


@kernel()
def _forward_maximum(start, stop, x, rows, columns, order, image, y, g):
    """A unit is a block of channels of an image, side by side."""
    bins = g.oh * g.ow
    best, winner = np.empty(bins * LANES), np.empty(bins * LANES, np.int64)
    values = np.empty(bins * LANES)
    for unit in range(start, stop):
        n, block = divmod(unit, blocks_of(g.c))
        c0, c1 = block * LANES, min((block + 1) * LANES, g.c)
        mine = order[image[n] : image[n + 1]]
        (r0, r1), (s0, s1) = _part(rows, mine, g.h), _part(columns, mine, g.w)
        tile = load(x[n, c0:c1], r0, r1, s0, s1).reshape(-1)
        for k in mine:
            for b in range(bins):
                _largest(tile, r0, s0, s1 - s0, rows, columns, k, b, g, best, winner, b * LANES)
            to_planes(best, 0, bins, values, 0, bins, LANES)
            at, count = (k * g.c + c0) * bins, (c1 - c0) * bins
            out = y[at : at + count]
            for i in range(count):
                out[i] = values[i]


@kernel()
def _backward_maximum(start, stop, x, rows, columns, order, image, gy, gx, by_place, by_size, g):
    """A unit is a block of channels of an image, side by side."""
    bins = g.oh * g.ow
    best, winner = np.empty(LANES), np.empty(LANES, np.int64)
    sums = np.empty((4, LANES))
    for unit in range(start, stop):
        n, block = divmod(unit, blocks_of(g.c))
        c0, c1 = block * LANES, min((block + 1) * LANES, g.c)
        mine = order[image[n] : image[n + 1]]
        (r0, r1), (s0, s1) = _part(rows, mine, g.h), _part(columns, mine, g.w)
        tile = load(x[n, c0:c1], r0, r1, s0, s1).reshape(-1)
        grads = np.zeros(len(tile), gx.dtype)
        for k in mine:
            sums[:] = 0
            at = (k * g.c + c0) * bins
            for b in range(bins):
                _largest(tile, r0, s0, s1 - s0, rows, columns, k, b, g, best, winner, 0)
                for c in range(c1 - c0):
                    if winner[c] >= 0:
                        _pass_on(gy[at + c * bins + b], tile, grads, c, r0, s0, s1 - s0,
                                 rows, columns, winner[c], sums, g)  # fmt: skip
            for c in range(c1 - c0):
                by_place[c0 + c, 0, k], by_size[c0 + c, 0, k] = sums[0, c], sums[1, c]
                by_place[c0 + c, 1, k], by_size[c0 + c, 1, k] = sums[2, c], sums[3, c]
        pixels = g.h * g.w
        plane = (n * g.c + c0) * pixels
        gx[plane : plane + (c1 - c0) * pixels] = 0
        store_rows(grads, r1 - r0, s1 - s0, gx, plane + r0 * g.w + s0, pixels, g.w, c1 - c0)


@rule
def _pass_on(share, tile, grads, c, r0, s0, width, rows, columns, number, sums, g):
    """Give the winner's share to its pixels, or to that of its corner, and add to the sums what it
    changes by when the sample moves along the rows, and along the columns."""
    e, f, corner = number >> 32, (number >> 2) & (2**30 - 1), number & 3
    pixels, weights = _corners(rows, columns, e, f, r0, s0, width)
    wy, wx = rows.weights[e, 0], columns.weights[f, 0]
    by_y = by_x = 0.0
    for a in range(4):
        if a == corner or not g.corners:
            below, after = a // 2, a % 2
            value = tile[pixels[a] + c]
            grads[pixels[a] + c] += weights[a] * share
            by_y += (value if below else -value) * (wx if after else 1 - wx)
            by_x += (value if after else -value) * (wy if below else 1 - wy)
    by_y *= rows.weights[e, 1] * share
    by_x *= columns.weights[f, 1] * share
    sums[0, c] += by_y
    sums[1, c] += by_y * rows.weights[e, 2]
    sums[2, c] += by_x
    sums[3, c] += by_x * columns.weights[f, 2]


Values = Callable[[], tuple[Array, Array]]
"""x and ``grad_y``, which lie on a GPU perhaps."""


# -- the calls ------------------------------------------------------------------------------------


def samples_along(rois: Array, g: Geometry) -> tuple[Samples, Samples]:
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


def weights_along(boxes: Samples, pixels: int, bins: int, g: Geometry, dtype: type) -> Weights:
    room = np.repeat(2 * np.minimum(boxes.number, pixels), bins)
    ends = np.cumsum(room)
    first = (ends - room).reshape(g.k, bins)
    entries = int(ends[-1]) if len(ends) else 0
    pixel, reach = np.empty(entries, np.int64), np.empty((g.k, bins, 2), np.int64)
    weights = Weights(first, np.empty_like(first), pixel, np.zeros((3, entries)), reach)
    launch(_tabulate, g.k * bins, entries, boxes, pixels, bins, g, weights)
    return weights._replace(values=weights.values.astype(dtype, copy=False))


def places_along(boxes: Samples, pixels: int, bins: int, g: Geometry) -> Places:
    ends = np.minimum(boxes.end + 1, boxes.number[:, None])
    begin = np.concatenate([[0], np.cumsum(ends - np.maximum(boxes.first - 1, 0))])
    entries = int(begin[-1])
    table, weights = np.empty((entries, 2), np.int64), np.empty((entries, 3))
    places = Places(begin, table, weights, np.empty((g.k, 2), np.int64))
    launch(_locate, g.k, entries, boxes, pixels, bins, g, places)
    return places


def _averages(index: Array, rows: Samples, columns: Samples, g: Geometry, dtype: type) -> Averages:
    counts = rows.number.astype(np.float64) * columns.number
    along_y = weights_along(rows, g.h, g.oh, g, dtype)
    along_x = weights_along(columns, g.w, g.ow, g, dtype)
    return averages(index, along_y, along_x, counts, _sizes(g))


def _sizes(g: Geometry) -> RoiShape:
    return RoiShape(g.n, g.c, g.h, g.w, g.k, g.oh, g.ow)


def forward(x: Array, rois: Array, y: Array, g: Geometry) -> None:
    index = rois[:, 0].astype(np.int64)
    rows, columns = samples_along(rois, g)
    if g.maximum:
        places = places_along(rows, g.h, g.oh, g), places_along(columns, g.w, g.ow, g)
        launch(_forward_maximum, g.n * blocks_of(g.c), 8 * y.size, x, *places,
               *by_image(index, g.n), y.reshape(-1), g)  # fmt: skip
    else:
        average(x, _averages(index, rows, columns, g, x.dtype.type), y, _sizes(g))


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def backward(
    x: Array, rois: Array, gy: Array, gx: Array | None, grois: Array | None, g: Geometry
) -> None:
    check(x, rois, g)  # again: they may have been written to since forward
    index = rois[:, 0].astype(np.int64)
    rows, columns = samples_along(rois, g)
    if g.maximum:
        target = np.empty_like(x) if gx is None else gx
        moved = np.zeros((2, g.c, 2, g.k))
        places = places_along(rows, g.h, g.oh, g), places_along(columns, g.w, g.ow, g)
        launch(_backward_maximum, g.n * blocks_of(g.c), 8 * gy.size, x, *places,
               *by_image(index, g.n), gy.reshape(-1), target.reshape(-1), *moved, g)  # fmt: skip
        by_place, by_size = moved.sum(1)
    else:
        table = _averages(index, rows, columns, g, x.dtype.type)
        if gx is not None:
            average_gradient(gy, table, gx, _sizes(g))
        if grois is not None:
            by_place, by_size = box_gradient(x, gy, table, _sizes(g))
    if grois is not None:
        of_boxes(by_place, by_size, rois, lambda: (x, gy), grois, g)


def of_boxes(
    by_place: Array, by_size: Array, rois: Array, values: Values, grois: Array, g: Geometry
) -> None:
    """The gradient of boxes, by that of samples that move along, or in proportion to their place.

    The places are start + fraction * size: a box's first coordinate moves all of a sample but that
    fraction, its last coordinate the fraction."""
    grois[:, 0] = 0
    for axis, low, high in ((0, 2, 4), (1, 1, 3)):
        grois[:, low] = g.scale * (by_place[axis] - by_size[axis])
        grois[:, high] = g.scale * by_size[axis]
    not_finite(grois, lambda: reference.boxes(rois.astype(np.float64), g), values, g)


def not_finite(
    gradients: Array, regions: Callable[[], Regions], values: Values, g: Geometry
) -> None:
    """Those of boxes that infinities or NaN have got into, by the definition: a bin's samples are
    summed before they meet ``grad_y``, and where one outside the image has no part in the sum, zero
    times infinity may be left out or put in."""
    bad: Array = ~np.isfinite(gradients.sum(1))
    if bad.any():
        mine = (region for region in regions() if bad[region[0]])
        x, gy = (array.astype(np.float64) for array in values())
        gradients[bad] = reference.gradients(mine, x, gy, g)[1][bad]
