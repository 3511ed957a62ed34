"""roi_align by its definition: the samples of a box, read between four pixels each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from numseg.errors import ArgumentError
from numseg.ops.roi_align.geometry import Geometry
from numseg.typing import Array


class Axis(NamedTuple):
    """The samples of one box along the rows, or along the columns: (bins * samples,) each."""

    bins: int
    samples: int  # in a bin
    low: Array  # the pixel at or before a sample
    high: Array  # and the one after it
    weight: Array  # of the pixel after
    inside: Array  # False for a sample that counts as zero
    slope: Array  # derivative of the weight by the sample's place
    by_start: Array  # derivative of the place by the box's first coordinate
    by_end: Array  # and by its last


Regions = Iterator[tuple[int, int, Axis, Axis]]
"""Of each box: its number, that of its image, and its samples along rows and columns."""


def forward(x: Array, rois: Array, g: Geometry) -> Array:
    y = np.zeros((g.k, g.c, g.oh, g.ow))
    for k, n, rows, columns in boxes(rois, g):
        samples = values(x[n], rows, columns, g)
        y[k] = reduced(samples, samples, g)
    return y


def backward(x: Array, rois: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    return gradients(boxes(rois, g), x, gy, g)


def gradients(regions: Regions, x: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    gx, grois = np.zeros((g.n, g.c, g.h, g.w)), np.zeros((g.k, 5))
    for k, n, rows, columns in regions:
        shares = shares_of(gy[k], x[n], rows, columns, g)
        for part, (_, r, s, weight, by_row, by_column) in zip(
            shares, corners(rows, columns), strict=True
        ):
            pixels: Any = slice(None), r[:, None], s
            counts = counted(part, rows, columns, g)
            np.add.at(gx[n], pixels, np.where(counts, part * weight, 0))
            moved = np.where(counts, part * x[n][pixels], 0)
            grois[k] += by_box(moved * by_row, moved * by_column, rows, columns)
    return gx, grois


def boxes(rois: Array, g: Geometry) -> Regions:
    """Each RoI that has samples, and pixels to sample: k, the image, and both axes."""
    for k, (n, x1, y1, x2, y2) in enumerate(rois):
        rows, columns = _axis(y1, y2, g.oh, g.h, g), _axis(x1, x2, g.ow, g.w, g)
        if rows.samples * columns.samples * g.h * g.w > 0:
            yield k, int(n), rows, columns


def _axis(first: Any, last: Any, bins: int, pixels: int, g: Geometry) -> Axis:
    kind: Any = np.float32 if g.single else np.float64
    shift = kind(0.5 if g.aligned else 0)
    start, end = (np.asarray(v, kind) * kind(g.scale) - shift for v in (first, last))
    size, free = end - start, 1.0
    if not g.aligned and size < 1:
        size, free = kind(1), 0.0
    step = size / kind(bins)
    count = g.ratio or max(int(np.ceil(step)), 0)
    p, i = np.arange(bins)[:, None], np.arange(count)
    within = (i.astype(kind) + kind(0.5)) * step / kind(max(count, 1))
    place = (start + p.astype(kind) * step + within).astype(np.float64).ravel()
    inside = (g.clamp | (place >= -1) & (place <= pixels)) & (pixels > 0)
    low = np.where(inside, np.clip(np.floor(place), 0, pixels - 1), 0).astype(int)
    high = np.where(inside, np.minimum(low + 1, pixels - 1), 0)
    weight = np.where(inside & (high > low), np.maximum(place, 0) - low, 0)
    slope = np.where(inside & (high > low) & (place >= 0), 1.0, 0.0)
    fraction = ((p + (i + 0.5) / max(count, 1)) / bins).ravel() * free
    by_start, by_end = (1 - fraction) * g.scale, fraction * g.scale
    return Axis(bins, count, low, high, weight, inside, slope, by_start, by_end)


def inside(rows: Axis, columns: Axis) -> Array:
    return rows.inside[:, None] & columns.inside


def corners(rows: Axis, columns: Axis) -> Iterator[tuple[int, Array, Array, Array, Array, Array]]:
    """The four pixels around the samples: which, their rows and columns, their weights, and the
    derivatives of those by the samples' rows and columns."""
    there = inside(rows, columns)
    for corner, (i, j) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        r, wr = (rows.high, rows.weight) if i else (rows.low, 1 - rows.weight)
        s, ws = (columns.high, columns.weight) if j else (columns.low, 1 - columns.weight)
        by_row = there * (2 * i - 1) * rows.slope[:, None] * ws
        by_column = there * (2 * j - 1) * columns.slope * wr[:, None]
        yield corner, r, s, there * wr[:, None] * ws, by_row, by_column


def values(image: Array, rows: Axis, columns: Axis, g: Geometry) -> Array:
    """What the mean or the maximum is taken of: (C, OH, OW, samples, or samples * corners)."""
    there = inside(rows, columns)
    products = [
        np.where(there, weight * image[:, r[:, None], s], 0)
        for _, r, s, weight, _, _ in corners(rows, columns)
    ]
    return candidates(products, rows, columns, g)


def candidates(products: list[Array], rows: Axis, columns: Axis, g: Geometry) -> Array:
    """The products of samples' four corners, in their bins; their sums, unless those compete."""
    if g.corners:
        each = np.stack([_by_bin(v, rows, columns, g) for v in products], -1)
        return each.reshape(*each.shape[:3], 4 * rows.samples * columns.samples)
    return _by_bin(products[0] + products[1] + products[2] + products[3], rows, columns, g)


def reduced(these: Array, samples: Array, g: Geometry) -> Array:
    """The mean of ``these``, or the one in the place of the largest of ``samples``."""
    if g.maximum:
        return np.take_along_axis(these, _winner(samples)[..., None], -1)[..., 0]
    return these.sum(-1) / these.shape[-1]


def shares_of(gy: Array, image: Array, rows: Axis, columns: Axis, g: Geometry) -> list[Array]:
    """What of ``grad_y`` each sample gets, for its four corners: (C, rows' samples, columns')."""
    number = rows.samples * columns.samples
    if g.maximum:
        winner = _winner(values(image, rows, columns, g))
        competing = np.arange(number * (4 if g.corners else 1))
        share = np.where(winner[..., None] == competing, gy[..., None], 0)
    else:
        share = np.repeat((gy / number)[..., None], number, -1)
    parts = [share[..., corner::4] if g.corners else share for corner in range(4)]
    return [_by_sample(part, rows, columns, g) for part in parts]


def counted(part: Array, rows: Axis, columns: Axis, g: Geometry) -> Array:
    """Which samples' pixels enter a gradient, be they infinite."""
    return inside(rows, columns) & ((part != 0) | (not g.maximum))


def by_box(by_row: Array, by_column: Array, rows: Axis, columns: Axis) -> list[float]:
    """A derivative by the samples' places as one by the box: index, x1, y1, x2, y2."""
    by_y, by_x = by_row.sum((0, 2)), by_column.sum((0, 1))
    return [
        0.0,
        (by_x * columns.by_start).sum(),
        (by_y * rows.by_start).sum(),
        (by_x * columns.by_end).sum(),
        (by_y * rows.by_end).sum(),
    ]


def _by_bin(samples: Array, rows: Axis, columns: Axis, g: Geometry) -> Array:
    """(C, rows' samples, columns' samples) as (C, OH, OW, samples), row by row in a bin."""
    parts = samples.reshape(g.c, g.oh, rows.samples, g.ow, columns.samples)
    return parts.transpose(0, 1, 3, 2, 4).reshape(g.c, g.oh, g.ow, rows.samples * columns.samples)


def _by_sample(values: Array, rows: Axis, columns: Axis, g: Geometry) -> Array:
    """The inverse of ``_by_bin``."""
    parts = values.reshape(g.c, g.oh, g.ow, rows.samples, columns.samples)
    return parts.transpose(0, 1, 3, 2, 4).reshape(g.c, g.oh * rows.samples, g.ow * columns.samples)


def _winner(values: Array) -> Array:
    """Position along the last axis of the last NaN, or else of the first maximum."""
    nan = np.isnan(values)
    last_nan = values.shape[-1] - 1 - np.argmax(nan[..., ::-1], -1)
    return np.where(nan.any(-1), last_nan, np.argmax(np.where(nan, -np.inf, values), -1))


def matrix(rois: Array, g: Geometry) -> Any:
    """``M[(k, c, p, q), (n, c, r, s)]``: the weights that the samples of bin (p, q) give a pixel,
    over their number."""
    from scipy import sparse

    if g.maximum:
        raise ArgumentError("a maximum is not linear, only mode 'avg' has a matrix")
    c = np.arange(g.c)[:, None, None]
    parts = []  # (output, pixel, value) for each RoI and each corner of its samples
    for k, n, rows, columns in boxes(rois, g):
        for _, r, s, weight, _, _ in corners(rows, columns):
            p, q = (np.arange(axis.bins).repeat(axis.samples) for axis in (rows, columns))
            output = ((k * g.c + c) * g.oh + p[:, None]) * g.ow + q
            pixel = ((n * g.c + c) * g.h + r[:, None]) * g.w + s
            value = np.broadcast_to(weight / (rows.samples * columns.samples), output.shape)
            parts.append((output.ravel(), pixel.ravel(), value.ravel()))
    output, pixel, value = (np.concatenate([[], *(part[j] for part in parts)]) for j in range(3))
    shape = g.k * g.c * g.oh * g.ow, g.n * g.c * g.h * g.w
    return sparse.csr_array((value, (output.astype(int), pixel.astype(int))), shape)
