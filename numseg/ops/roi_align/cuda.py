"""roi_align on CUDA.

An average has separable weights: they are tabulated, by the CPU's code, and
:mod:`numseg.cuda.regions` does the rest.
A maximum is looked for once a bin and channel; backward, it is kept who won, and a pixel looks at
the samples that read it. All of that in float64, as on the CPU: which of two samples is larger must
not depend on how their sums are rounded.
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
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.regions import (
    Entries,
    Packed,
    Readers,
    average,
    average_gradient,
    box_gradient,
    box_sums,
    entries,
    gathering,
    readers,
    reads,
)
from numseg.cuda.runtime import cuda, empty
from numseg.kernels.pooling.maxima import wins
from numseg.kernels.sampling.roi_average import RoiShape
from numseg.ops.roi_align import geometry
from numseg.ops.roi_align.cpu import (
    Places,
    of_boxes,
    places_along,
    samples_along,
    weights_along,
)
from numseg.ops.roi_align.geometry import Geometry
from numseg.typing import Array


class Looks(NamedTuple):
    """Sizes; where in the tables of integers and of weights the samples begin."""

    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int
    image: int
    row_begin: int
    row: int
    row_weight: int
    column_begin: int
    column: int
    column_weight: int
    corners: bool


@cuda.jit(device=True)
def _corner(number: Any, e: Any, f: Any, ints: Any, weights: Any, g: Any) -> Any:
    """Of the four pixels around a sample one: its place in the plane, and its weight."""
    below, after = number >> 1, number & 1
    row, column = ints[g.row + 2 * e + below], ints[g.column + 2 * f + after]
    wy, wx = weights[g.row_weight + 3 * e], weights[g.column_weight + 3 * f]
    one = weights.dtype.type(1)
    return row * g.w + column, (wy if below else one - wy) * (wx if after else one - wx)


@kernel
def _look(
    x: Reals, ints: Ints, weights: Doubles, y: Reals, rows: Ints, columns: Ints, g: Looks
) -> None:
    """The largest sample of a bin, and who it is: four times the number of its row and the corner,
    and the number of its column; -1 for nobody on the image. A plane is a channel of a RoI."""
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    while plane < g.k * g.c:
        k = quotient(plane, g.c)
        base = (ints[g.image + k] * g.c + plane - k * g.c) * g.h * g.w
        e, e1 = ints[g.row_begin + k * g.oh + p], ints[g.row_begin + k * g.oh + p + 1]
        f0, f1 = ints[g.column_begin + k * g.ow + q], ints[g.column_begin + k * g.ow + q + 1]
        best, row, column, first = weights.dtype.type(0), int32(-1), int32(-1), True
        while e < e1:
            f = f0
            while f < f1:
                inside = ints[g.row + 2 * e] >= 0 and ints[g.column + 2 * f] >= 0
                value = weights.dtype.type(0)
                number = int32(0)
                while number < 4 and (inside or number == 0):
                    if inside:
                        place, weight = _corner(number, e, f, ints, weights, g)
                        term = weight * weights.dtype.type(x[base + place])
                        value = term if g.corners or number == 0 else value + term
                    if (g.corners or number == 3 or not inside) and (first or wins(value, best)):
                        best, first = value, False
                        row = int32(4 * e + number) if inside else int32(-1)
                        column = f
                    number = int32(number + 1)
                f = int32(f + 1)
            e = int32(e + 1)
        at = plane * g.oh * g.ow + pixel
        y[at], rows[at], columns[at] = best, row, column
        plane = next_plane(plane)


@cuda.jit(device=True)
def _share_of(total: Any, k: Any, base: Any, entries: Any, ints: Any, g: Any, arrays: Any) -> Any:
    """The pixel's shares of the bins whose winner reads it."""
    gy, winner_rows, winner_columns, samples, weights, looks = arrays
    e, e1, f0, f1 = entries
    while e < e1:
        a = ints[g.row_value + e]
        f = f0
        while f < f1:
            b = ints[g.column_value + f]
            at = base + ints[g.row_bin + e] + ints[g.column_bin + f]
            number = int32(2 * (a & 1) + (b & 1))
            won = winner_rows[at]
            mine = won >> 2 == a >> 1 and winner_columns[at] == b >> 1
            if mine and (not looks.corners or won & 3 == number):
                _, weight = _corner(number, a >> 1, b >> 1, samples, weights, looks)
                total += weight * weights.dtype.type(gy[at])
            f = int32(f + 1)
        e = int32(e + 1)
    return total


_gather_shares = gathering(_share_of)


@kernel
def _share(
    gy: Reals,
    gx: Reals,
    winner_rows: Ints,
    winner_columns: Ints,
    ints: Ints,
    weights: Doubles,
    looks: Looks,
    readers: Ints,
    g: Readers,
) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        arrays = gy, winner_rows, winner_columns, ints, weights, looks
        total = _gather_shares(weights.dtype.type(0), readers, pixel, plane, g, arrays)
        gx[plane * g.h * g.w + pixel] = total
        plane = next_plane(plane)


@kernel
def _move(
    x: Reals,
    gy: Reals,
    rows: Ints,
    columns: Ints,
    ints: Ints,
    weights: Doubles,
    addends: Doubles,
    g: Looks,
    terms: Split,
) -> None:
    """What the winners of a region change by when they move: see :mod:`numseg.cuda.regions`."""
    part, k = thread()
    if part >= terms.parts:
        return
    zero, one = weights.dtype.type(0), weights.dtype.type(1)
    while k < g.k:
        down, down_part, right, right_part = zero, zero, zero, zero
        term = part
        while term < terms.terms:
            at = k * terms.terms + term
            row = rows[at]
            if row >= 0:
                e, f = row >> 2, columns[at]
                base = ints[g.image + k] * g.c + quotient(term, g.oh * g.ow)
                wy, wx = weights[g.row_weight + 3 * e], weights[g.column_weight + 3 * f]
                by_y, by_x = zero, zero
                number = int32(0)
                while number < 4:
                    if not g.corners or number == row & 3:
                        place, _ = _corner(number, e, f, ints, weights, g)
                        value = weights.dtype.type(x[base * g.h * g.w + place])
                        below, after = number >> 1, number & 1
                        by_y += (value if below else -value) * (wx if after else one - wx)
                        by_x += (value if after else -value) * (wy if below else one - wy)
                    number = int32(number + 1)
                share = weights.dtype.type(gy[at])
                by_y *= weights[g.row_weight + 3 * e + 1] * share
                by_x *= weights[g.column_weight + 3 * f + 1] * share
                down += by_y
                down_part += by_y * weights[g.row_weight + 3 * e + 2]
                right += by_x
                right_part += by_x * weights[g.column_weight + 3 * f + 2]
            term = int32(term + terms.parts)
        at = part * 4 * g.k + k
        addends[at], addends[at + g.k] = down, down_part
        addends[at + 2 * g.k], addends[at + 3 * g.k] = right, right_part
        k = next_plane(k)


def forward(x: Any, rois: Any, y: Any, g: Geometry) -> None:
    boxes = Cuda.to_host(rois)
    if g.maximum:
        _winners(x, y, *_looks(boxes, _places(boxes, g), g))
    else:
        index, rows, columns, counts = _averages(boxes, g, x.dtype.type)
        average(x, y, reads(index, rows, columns, counts, RoiShape(*g[:7]), x.dtype))


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def backward(x: Any, rois: Any, gy: Any, gx: Any, grois: Any, g: Geometry) -> None:
    boxes = Cuda.to_host(rois)
    geometry.check(x, boxes, g)  # again: they may have been written to since forward
    gradient = _maximum_gradient if g.maximum else _average_gradient
    moved = gradient(x, boxes, gy, gx, grois is not None, g)
    if moved is not None:
        found = np.empty(grois.shape, grois.dtype)
        of_boxes(*moved, boxes, lambda: (Cuda.to_host(x), Cuda.to_host(gy)), found, g)
        grois.copy_to_device(found)


def _average_gradient(
    x: Any, boxes: Array, gy: Any, gx: Any, moves: bool, g: Geometry
) -> tuple[Array, Array] | None:
    sizes = RoiShape(*g[:7])
    index, rows, columns, counts = _averages(boxes, g, x.dtype.type)
    if gx is not None:
        along = entries(rows), entries(columns)
        average_gradient(gy, gx, readers(index, *along, counts, sizes, x.dtype))
    return (
        box_gradient(x, gy, reads(index, rows, columns, counts, sizes, x.dtype)) if moves else None
    )


def _averages(boxes: Array, g: Geometry, dtype: type) -> tuple[Any, ...]:
    """Of each RoI the image, its weights along rows and columns, and the number of samples."""
    rows, columns = samples_along(boxes, g)
    weights = weights_along(rows, g.h, g.oh, g, dtype), weights_along(columns, g.w, g.ow, g, dtype)
    return boxes[:, 0].astype(np.int64), *weights, rows.number * columns.number


def _maximum_gradient(
    x: Any, boxes: Array, gy: Any, gx: Any, moves: bool, g: Geometry
) -> tuple[Array, Array] | None:
    places = _places(boxes, g)
    ints, weights, looks = _looks(boxes, places, g)
    won = _winners(x, empty(gy.shape, gy.dtype), ints, weights, looks)
    if gx is not None:
        rows, columns = _samples(places[0], g.oh), _samples(places[1], g.ow)
        index, sizes = boxes[:, 0].astype(np.int64), RoiShape(*g[:7])
        table = readers(index, rows, columns, np.ones(0), sizes, x.dtype)
        arrays = gy, gx, *won, ints, weights, looks, table.ints, table.places
        launch(_share, g.n * g.c, g.h * g.w, *arrays)
    return box_sums(_move, looks, x, gy, *won, ints, weights) if moves else None


def _winners(x: Any, y: Any, ints: Any, weights: Any, g: Looks) -> tuple[Any, Any]:
    """Fill y; the numbers of the winners' rows and columns."""
    rows, columns = empty(y.shape, np.int32), empty(y.shape, np.int32)
    launch(_look, g.k * g.c, g.oh * g.ow, x, ints, weights, y, rows, columns, g)
    return rows, columns


def _places(boxes: Array, g: Geometry) -> tuple[Places, Places]:
    rows, columns = samples_along(boxes, g)
    return places_along(rows, g.h, g.oh, g), places_along(columns, g.w, g.ow, g)


def _looks(boxes: Array, places: tuple[Places, Places], g: Geometry) -> tuple[Any, Any, Looks]:
    ints, weights = Packed(np.int32), Packed(np.float64)
    at: list[Any] = [ints.add(boxes[:, 0])]
    for axis in places:
        at += [ints.add(axis.begin), ints.add(axis.pixels), weights.add(axis.weights)]
    looks = Looks(*[*g[:7], *at, g.corners])
    return ints.sent(), weights.sent(), looks


def _samples(places: Places, bins: int) -> Entries:
    """The two pixels of each sample, each by twice the sample's number and which it is."""
    owner = np.repeat(np.arange(len(places.begin) - 1), np.diff(places.begin)).repeat(2)
    number, pixel = np.arange(places.pixels.size), places.pixels.ravel()
    there = np.repeat(places.pixels[:, 0] >= 0, 2)
    owner, number, pixel = owner[there], number[there], pixel[there]
    return Entries(owner // bins, owner % bins, pixel, number)
