"""roi_pool on CUDA. A thread owns a bin of a channel, or, backward, a pixel of a plane, which adds
up the bins that it won, region after region (:mod:`numseg.cuda.regions`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.arrays import Cuda
from numseg.cuda.launch import Ints, Longs, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.regions import (
    Entries,
    Packed,
    Readers,
    gathering,
    readers,
    runs,
)
from numseg.cuda.runtime import cuda
from numseg.kernels.sampling.roi_average import RoiShape
from numseg.ops.roi_align import geometry
from numseg.ops.roi_pool.cpu import LOWEST, bins_along
from numseg.ops.roi_pool.geometry import Geometry
from numseg.typing import Array


class Sizes(NamedTuple):
    """And where in the table the rows of bins begin, and their columns; images come first."""

    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int
    rows: int
    columns: int
    lowest: float


@kernel
def _forward(x: Reals, bins: Ints, y: Reals, switches: Longs, g: Sizes) -> None:
    """A plane is a channel of a RoI."""
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    while plane < g.k * g.c:
        k = quotient(plane, g.c)
        base = (bins[k] * g.c + plane - k * g.c) * g.h * g.w
        at, beside = g.rows + 2 * (k * g.oh + p), g.columns + 2 * (k * g.ow + q)
        row, bottom, left, right = bins[at], bins[at + 1], bins[beside], bins[beside + 1]
        best, place = y.dtype.type(0), int32(-1)
        if row < bottom and left < right:
            best = g.lowest
        while row < bottom:
            column = left
            while column < right:
                value = x[base + row * g.w + column]
                if value > best:
                    best, place = value, int32(row * g.w + column)
                column = int32(column + 1)
            row = int32(row + 1)
        y[plane * g.oh * g.ow + pixel] = best
        switches[plane * g.oh * g.ow + pixel] = place
        plane = next_plane(plane)


@cuda.jit(device=True)
def _share(total: Any, k: Any, base: Any, entries: Any, ints: Any, g: Any, arrays: Any) -> Any:
    """The gradients of the bins that the pixel won."""
    switches, gy, pixel = arrays
    e, e1, f0, f1 = entries
    while e < e1:
        f = f0
        while f < f1:
            at = base + ints[g.row_bin + e] + ints[g.column_bin + f]
            if switches[at] == pixel:
                total += gy[at]
            f = int32(f + 1)
        e = int32(e + 1)
    return total


_gather = gathering(_share)


@kernel
def _backward(switches: Longs, gy: Reals, gx: Reals, ints: Ints, g: Readers) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        arrays = switches, gy, pixel
        gx[plane * g.h * g.w + pixel] = _gather(gx.dtype.type(0), ints, pixel, plane, g, arrays)
        plane = next_plane(plane)


def forward(x: Any, rois: Any, y: Any, switches: Any, g: Geometry) -> None:
    boxes, table = Cuda.to_host(rois), Packed(np.int32)
    table.add(boxes[:, 0])
    rows, columns = (table.add(bins) for bins in bins_along(boxes, g))
    sizes = Sizes(*g[:7], rows, columns, LOWEST)
    launch(_forward, g.k * g.c, g.oh * g.ow, x, table.sent(), y, switches, sizes)


def backward(rois: Any, switches: Any, gy: Any, gx: Any, g: Geometry) -> None:
    boxes = Cuda.to_host(rois)
    geometry.check(None, boxes, g)  # again: they may have been written to since forward
    if gx is None:
        return
    rows, columns = map(_entries, bins_along(boxes, g))
    index = boxes[:, 0].astype(np.int64)
    table = readers(index, rows, columns, np.ones(g.k), RoiShape(*g[:7]), gx.dtype)
    launch(_backward, g.n * g.c, g.h * g.w, switches, gy, gx, table.ints, table.places)


def _entries(bins: Array) -> Entries:
    """The pixels of each bin."""
    numbers, pixels = runs(bins[..., 0], bins[..., 1])
    count = bins.shape[1]
    return Entries(numbers // count, numbers % count, pixels, None)
