"""crop_and_resize by its definition: one sample for each pixel of a crop.

How a sample reads its four pixels, and how that changes when it moves, is roi_align's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.crop_and_resize.geometry import Geometry
from numseg.ops.roi_align.geometry import Geometry as Samples
from numseg.ops.roi_align.reference import Axis, Regions, corners, gradients, inside, values
from numseg.typing import Array


def forward(x: Array, boxes: Array, box_indices: Array, g: Geometry) -> Array:
    y = np.full((g.k, g.c, g.oh, g.ow), g.outside)
    for k, n, rows, columns in crops(boxes, box_indices, g):
        if g.nearest:
            read = x[n][:, rows.low[:, None], columns.low]
        else:
            read = values(x[n], rows, columns, as_samples(g))[..., 0]
        y[k] = np.where(inside(rows, columns), read, g.outside)
    return y


def backward(
    x: Array, boxes: Array, box_indices: Array, gy: Array, g: Geometry
) -> tuple[Array, Array]:
    gx, grois = gradients(crops(boxes, box_indices, g), x, gy, as_samples(g))
    if g.nearest:  # of the four pixels one is read
        gx[:] = 0
        for k, n, rows, columns in crops(boxes, box_indices, g):
            share = np.where(inside(rows, columns), gy[k], 0)
            pixels: Any = slice(None), rows.low[:, None], columns.low
            np.add.at(gx[n], pixels, share)
    return gx, grois[:, [2, 1, 4, 3]]  # y1, x1, y2, x2


def matrix(boxes: Array, box_indices: Array, g: Geometry) -> Any:
    """``M[(k, c, p, q), (n, c, r, s)]``: the weight of pixel (r, s) in (p, q)."""
    from scipy import sparse

    c, p, q = np.ogrid[: g.c, : g.oh, : g.ow]
    parts = []  # (output, pixel, value) for each box and each corner of its samples
    for k, n, rows, columns in crops(boxes, box_indices, g):
        for _, r, s, weight, _, _ in corners(rows, columns):
            output = ((k * g.c + c) * g.oh + p) * g.ow + q
            pixel = ((n * g.c + c) * g.h + r[:, None]) * g.w + s
            value = np.broadcast_to(weight, output.shape)
            parts.append((output.ravel(), pixel.ravel(), value.ravel()))
    output, pixel, value = (np.concatenate([[], *(part[j] for part in parts)]) for j in range(3))
    shape = g.k * g.c * g.oh * g.ow, g.n * g.c * g.h * g.w
    return sparse.csr_array((value, (output.astype(int), pixel.astype(int))), shape)


def crops(boxes: Array, box_indices: Array, g: Geometry) -> Regions:
    for k, (y1, x1, y2, x2) in enumerate(boxes):
        rows, columns = _axis(y1, y2, g.oh, g.h, g), _axis(x1, x2, g.ow, g.w, g)
        yield k, int(box_indices[k]), rows, columns


def as_samples(g: Geometry) -> Samples:
    """An average of one sample."""
    return Samples(*g[:7], 1.0, 1, False, g.single, maximum=False, corners=False, clamp=False)


def _axis(first: Any, last: Any, bins: int, pixels: int, g: Geometry) -> Axis:
    kind: Any = np.float32 if g.single else np.float64
    first, last, size, p = kind(first), kind(last), kind(pixels - 1), np.arange(bins)
    if bins > 1:
        step = (last - first) * size / kind(bins - 1)
        place, share = first * size + p.astype(kind) * step, p / (bins - 1)
    else:
        place, share = np.array([kind(0.5) * (first + last) * size]), np.array([0.5])
    place = place.astype(np.float64)
    there = (place >= 0) & (place <= pixels - 1)
    place = np.where(there, place, 0)
    if g.nearest:
        low = high = np.floor(place) + (place - np.floor(place) >= 0.5)
    elif g.right:
        low = np.minimum(np.floor(place), max(pixels - 2, 0))
        high = np.minimum(low + 1, pixels - 1)
    else:
        low, high = np.floor(place), np.ceil(place)
    slope = np.where(high > low, 1.0, 0.0)
    by_start, by_end = (1 - share) * (pixels - 1), share * (pixels - 1)
    weight = (place - low) * slope
    pixel = low.astype(int), high.astype(int)
    return Axis(bins, 1, *pixel, weight, there, slope, by_start, by_end)
