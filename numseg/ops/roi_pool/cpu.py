"""roi_pool on the CPU.

Forward: a unit is a block of channels of one image, side by side: a step looks at a pixel in all of
them, bin after bin in row-major order. Backward: a unit is some planes; its RoIs add to each in
their order.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import copy_nontemporal, fence_nontemporal, prefetch
from numseg.kernels.pooling.bins import NARROW
from numseg.kernels.sampling.channels_last import LANES, blocks_of, largest, load, to_planes
from numseg.kernels.sampling.roi_average import by_image
from numseg.ops.roi_align.geometry import check
from numseg.ops.roi_pool.geometry import Geometry
from numseg.ops.roi_pool.rules import edges, ends
from numseg.typing import Array

LOWEST = float(np.finfo(np.float32).min)

PLANES = 4
"""Planes of a unit, backward: their switches and gradients of a RoI lie together."""


@kernel()
def _edges(start, stop, low, high, pixels, g, bins):
    for k in range(start, stop):
        first, size = ends(low[k], high[k], g)
        for p in range(bins.shape[1]):
            bins[k, p, 0], bins[k, p, 1] = edges(first, size, p, bins.shape[1], pixels, g)


@kernel()
def _forward(start, stop, x, rows, columns, order, image, y, switches, nowhere, g):
    bins = g.oh * g.ow
    best, winner = np.zeros(bins * LANES, x.dtype), np.full(bins * LANES, nowhere)
    values, places = best.copy(), winner.copy()
    for unit in range(start, stop):
        n, block = divmod(unit, blocks_of(g.c))
        c0, c1 = block * LANES, min((block + 1) * LANES, g.c)
        mine = order[image[n] : image[n + 1]]
        r0, r1, s0, s1 = g.h, 0, g.w, 0
        for k in mine:
            r0, r1 = min(r0, rows[k, 0, 0]), max(r1, rows[k, g.oh - 1, 1])
            s0, s1 = min(s0, columns[k, 0, 0]), max(s1, columns[k, g.ow - 1, 1])
        r0, s0 = min(r0, r1), min(s0, s1)
        tile = load(x[n, c0:c1], r0, r1, s0, s1)
        step, flat = tile.shape[1], tile.reshape(tile.size)
        for k in mine:
            b = 0
            for p in range(g.oh):
                top, bottom = rows[k, p, 0], rows[k, p, 1]
                for q in range(g.ow):
                    left, right = columns[k, q, 0], columns[k, q, 1]
                    first = (top - r0) * step + (left - s0) * LANES
                    lowest = LOWEST if top < bottom and left < right else 0.0
                    largest(flat, first, step, bottom - top, right - left, lowest,
                            top * g.w + left, g.w, best, winner, b * LANES)  # fmt: skip
                    b += 1
            at, count = (k * g.c + c0) * bins, (c1 - c0) * bins
            to_planes(best, 0, bins, values, 0, bins, LANES)
            copy_nontemporal(values, 0, y, at, count)
            if len(switches) > 0:
                to_planes(winner, 0, bins, places, 0, bins, LANES)
                copy_nontemporal(places, 0, switches, at, count)
    fence_nontemporal()


@kernel()
def _backward(start, stop, order, image, switches, gy, gx, g):
    bins, pixels = g.oh * g.ow, g.h * g.w
    for unit in range(start, stop):
        n, block = divmod(unit, (g.c + PLANES - 1) // PLANES)
        c0, c1 = block * PLANES, min((block + 1) * PLANES, g.c)
        planes = gx[(n * g.c + c0) * pixels : (n * g.c + c1) * pixels]
        planes[:] = 0
        mine = order[image[n] : image[n + 1]]
        for i in range(len(mine)):
            k, after = mine[i], mine[min(i + 1, len(mine) - 1)]
            first, end = (after * g.c + c0) * bins, (after * g.c + c1) * bins
            prefetch(switches, first, end)  # the next RoI's: the CPU does not foresee them
            prefetch(gy, first, end)
            for c in range(c0, c1):
                plane, at = planes[(c - c0) * pixels :][:pixels], (k * g.c + c) * bins
                places, grads = switches[at : at + bins], gy[at : at + bins]
                for b in range(bins):
                    place = np.uint64(places[b])
                    if place < np.uint64(pixels):
                        plane[place] += grads[b]


def bins_along(rois: Array, g: Geometry) -> tuple[Array, Array]:
    """Of each bin of each RoI the first row, and the one after its last; its columns alike."""
    rows, columns = np.empty((g.k, g.oh, 2), np.int64), np.empty((g.k, g.ow, 2), np.int64)
    for bins, low, high, pixels in ((rows, 2, 4, g.h), (columns, 1, 3, g.w)):
        first, last = (np.ascontiguousarray(rois[:, j], np.float64) for j in (low, high))
        launch(_edges, g.k, bins.size, first, last, pixels, g, bins)
    return rows, columns


def forward(x: Array, rois: Array, y: Array, switches: Array, g: Geometry) -> None:
    rows, columns = bins_along(rois, g)
    order, image = by_image(rois[:, 0].astype(np.int64), g.n)
    nowhere = np.int32(-1) if g.h * g.w <= NARROW else np.int64(-1)
    launch(_forward, g.n * blocks_of(g.c), 8 * y.size, x, rows, columns, order, image,
           y.reshape(-1), switches.reshape(-1), nowhere, g)  # fmt: skip


def backward(rois: Array, switches: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    check(None, rois, g)  # again: they may have been written to since forward
    if gx is None:
        return
    order, image = by_image(rois[:, 0].astype(np.int64), g.n)
    units = g.n * ceil_div(g.c, PLANES)
    launch(_backward, units, gx.size + gy.size, order, image, switches.reshape(-1),
           gy.reshape(-1), gx.reshape(-1), g)  # fmt: skip
