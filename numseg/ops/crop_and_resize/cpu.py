"""crop_and_resize on the CPU: averages of one sample, by the kernels of all regions."""

from __future__ import annotations

import numpy as np

from numseg.kernels.sampling.roi_average import (
    Averages,
    RoiShape,
    Weights,
    average,
    average_gradient,
    averages,
    box_gradient,
)
from numseg.ops.crop_and_resize.geometry import Geometry, check
from numseg.ops.crop_and_resize.reference import as_samples, crops
from numseg.ops.roi_align.cpu import Values, not_finite
from numseg.typing import Array


def _places(first: Array, last: Array, bins: int, pixels: int, kind: type) -> tuple[Array, Array]:
    """Where the samples lie, (K, bins), and in which share of the box."""
    first, last, size = first.astype(kind)[:, None], last.astype(kind)[:, None], kind(pixels - 1)
    if bins == 1:
        return kind(0.5) * (first + last) * size, np.array([0.5])
    p = np.arange(bins)
    step = (last - first) * size / kind(bins - 1)
    return first * size + p.astype(kind) * step, p / (bins - 1)


def weights_along(
    first: Array, last: Array, bins: int, pixels: int, g: Geometry, dtype: type
) -> tuple[Weights, Array]:
    """The weights along one axis, and which samples are on the image."""
    place, share = _places(first, last, bins, pixels, np.float32 if g.single else np.float64)
    there = (place >= 0) & (place <= pixels - 1)
    place = np.where(there, place, 0).astype(np.float64)
    low = np.floor(place).astype(np.int64)
    high = low + (place > low)
    if g.nearest:
        low = high = low + (place - low >= 0.5)
    elif g.right:
        low = np.minimum(low, max(pixels - 2, 0))
        high = np.minimum(low + 1, pixels - 1)
    slope = high > low
    after = (place - low) * slope
    begin = 2 * np.arange(len(first) * bins).reshape(-1, bins)
    by_place = np.stack([-1.0 * slope, 1.0 * slope], -1)
    values = np.stack([1 - after, after], -1), by_place, by_place * share[:, None]
    weights = Weights(
        first=begin,
        end=begin + there * (1 if g.nearest else 2),
        pixel=np.stack([low, high], -1).ravel(),
        values=np.stack(values).reshape(3, -1).astype(dtype),
        reach=np.stack([np.where(there, low, pixels), np.where(there, high + 1, 0)], -1),
    )
    return weights, there


def _averages(
    boxes: Array, box_indices: Array, g: Geometry, dtype: type
) -> tuple[Averages, RoiShape, Array]:
    """The table of weights, and the samples that are on their image: (K, 1, OH, OW)."""
    y1, x1, y2, x2 = boxes.T
    rows, down = weights_along(y1, y2, g.oh, g.h, g, dtype)
    columns, right = weights_along(x1, x2, g.ow, g.w, g, dtype)
    sizes = RoiShape(*g[:7])
    table = averages(box_indices.astype(np.int64), rows, columns, np.ones(g.k), sizes)
    return table, sizes, (down[:, :, None] & right[:, None])[:, None]


def forward(x: Array, boxes: Array, box_indices: Array, y: Array, g: Geometry) -> None:
    table, sizes, there = _averages(boxes, box_indices, g, x.dtype.type)
    average(x, table, y, sizes)
    if there.all():  # as with most boxes: y would be read through for nothing
        return
    with np.errstate(over="ignore"):  # of a value that float32 does not hold
        outside = np.float64(g.outside).astype(x.dtype)
    np.copyto(y, outside, where=~there)


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def backward(
    x: Array,
    boxes: Array,
    box_indices: Array,
    gy: Array,
    gx: Array | None,
    gboxes: Array | None,
    g: Geometry,
) -> None:
    check(x, boxes, box_indices, g)  # again: they may have been written to since forward
    table, sizes, _ = _averages(boxes, box_indices, g, x.dtype.type)
    if gx is not None:
        average_gradient(gy, table, gx, sizes)
    if gboxes is not None:
        moved = box_gradient(x, gy, table, sizes)
        of_boxes(*moved, boxes, box_indices, lambda: (x, gy), gboxes, g)


def of_boxes(
    by_place: Array,
    by_size: Array,
    boxes: Array,
    box_indices: Array,
    values: Values,
    gboxes: Array,
    g: Geometry,
) -> None:
    """The gradient of boxes, by that of samples that move along, or in proportion to their place,
    which is (first + share * size) * (pixels - 1)."""
    for axis, pixels in enumerate((g.h, g.w)):
        gboxes[:, axis] = (pixels - 1) * (by_place[axis] - by_size[axis])
        gboxes[:, axis + 2] = (pixels - 1) * by_size[axis]
    wide = boxes.astype(np.float64)
    by_number = np.insert(gboxes[:, [1, 0, 3, 2]], 0, 0, 1)  # as roi_align's: index, x1, ...
    not_finite(by_number, lambda: crops(wide, box_indices, g), values, as_samples(g))
    gboxes[:] = by_number[:, [2, 1, 4, 3]]
