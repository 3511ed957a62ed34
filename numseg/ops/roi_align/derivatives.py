"""Derivatives of roi_align: samples between four pixels, which move with their box.

A sample is ``sum over its corners of weight * pixel``. A weight is a factor linear in the sample's
row times one linear in its column, and both are linear in the box: of the second derivatives of a
weight only the mixed one is not 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from numseg.ops.roi_align import roi_align
from numseg.ops.roi_align.geometry import Geometry
from numseg.ops.roi_align.reference import (
    Axis,
    Regions,
    boxes,
    by_box,
    candidates,
    corners,
    counted,
    inside,
    reduced,
    shares_of,
    values,
)
from numseg.plan import Saved
from numseg.typing import Array


class Corner(NamedTuple):
    """One of the four pixels around each sample of a box that moves: (rows', columns' samples)."""

    pixels: Any  # an index into an image
    weight: Array
    motion: Array  # of the weight, along the tangent
    by_row: Array  # derivatives of the weight by the sample's place
    by_column: Array
    motion_by_row: Array  # and of its motion
    motion_by_column: Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    plan, g = saved.plan, saved.plan.geometry
    if along["boxes"] is None and not g.maximum:
        how = {**plan.parameters, "arithmetic": "float32" if g.single else "float64"}
        return roi_align(along["x"], saved.boxes, **how)
    x, rois, vx, vrois = wide(saved.x, saved.boxes, along["x"], along["boxes"])
    return tangents(boxes(rois, g), x, vx, vrois, g)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    g = saved.plan.geometry
    if along["boxes"] is None and not g.maximum:  # the jvp is roi_align of the motion
        at = saved._replace(x=along["x"])
        return {"boxes": roi_align.backward(at, grad_y, needs=["boxes"])[1]}
    x, rois, vx, vrois = wide(saved.x, saved.boxes, along["x"], along["boxes"])
    gx, grois = second(boxes(rois, g), x, vx, vrois, np.asarray(grad_y, np.float64), g)
    return {"x": gx, "boxes": grois}


def tangents(regions: Regions, x: Array, vx: Array, vrois: Array, g: Geometry) -> Array:
    """``weight * along x + motion * x``, taken as the values are."""
    y = np.zeros((g.k, g.c, g.oh, g.ow))
    for k, n, rows, columns in regions:
        there = inside(rows, columns)
        moved = [
            np.where(there, part.weight * vx[n][part.pixels] + part.motion * x[n][part.pixels], 0)
            for part in _corners(rows, columns, vrois[k])
        ]
        y[k] = reduced(candidates(moved, rows, columns, g), values(x[n], rows, columns, g), g)
    return y


def second(
    regions: Regions, x: Array, vx: Array, vrois: Array, gy: Array, g: Geometry
) -> tuple[Array, Array]:
    """Gradients of ``sum over samples and corners of share * (weight * along x + motion * x)``."""
    gx, grois = np.zeros(x.shape), np.zeros(vrois.shape)
    for k, n, rows, columns in regions:
        shares = shares_of(gy[k], x[n], rows, columns, g)
        for share, corner in zip(shares, _corners(rows, columns, vrois[k]), strict=True):
            counts = counted(share, rows, columns, g)
            pixel, tangent = (np.where(counts, image[n][corner.pixels], 0) for image in (x, vx))
            np.add.at(gx[n], corner.pixels, share * corner.motion)
            grois[k] += by_box(
                share * (corner.by_row * tangent + corner.motion_by_row * pixel),
                share * (corner.by_column * tangent + corner.motion_by_column * pixel),
                *(rows, columns),
            )
    return gx, grois


def wide(x: Array, boxes: Array, vx: Array | None, vboxes: Array | None) -> tuple[Array, ...]:
    """The arrays in NumPy and float64, zeros for tangents of what does not move."""
    return tuple(
        np.zeros(like.shape) if array is None else np.asarray(array, np.float64)
        for array, like in ((x, x), (boxes, boxes), (vx, x), (vboxes, boxes))
    )


def _corners(rows: Axis, columns: Axis, tangent: Array) -> Iterator[Corner]:
    _, x1, y1, x2, y2 = tangent
    down = (rows.by_start * y1 + rows.by_end * y2)[:, None]  # how the samples move
    right = columns.by_start * x1 + columns.by_end * x2
    slopes = (rows.inside * rows.slope)[:, None] * (columns.inside * columns.slope)
    for corner, r, s, weight, by_row, by_column in corners(rows, columns):
        mixed = slopes if corner in (0, 3) else -slopes
        motion = by_row * down + by_column * right
        pixels = slice(None), r[:, None], s
        yield Corner(pixels, weight, motion, by_row, by_column, mixed * right, mixed * down)
