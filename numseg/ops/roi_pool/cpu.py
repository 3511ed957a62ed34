"""roi_pool on the CPU.

Forward: a unit is a block of channels of one image, side by side: for each column the largest of a
bin's rows, then the largest of its columns. Backward: a unit is a plane; its RoIs add to it in
their order.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.lanes import LANES, blocks_of, load
from numseg.kernels.parallel import launch
from numseg.kernels.regions import by_image
from numseg.ops.roi_pool import Geometry, check
from numseg.ops.roi_pool.rules import edges, ends
from numseg.typing import Array

LOWEST = float(np.finfo(np.float32).min)


@kernel()
def _edges(start, stop, low, high, pixels, g, bins):
    for k in range(start, stop):
        first, size = ends(low[k], high[k], g)
        for p in range(bins.shape[1]):
            bins[k, p, 0], bins[k, p, 1] = edges(first, size, p, bins.shape[1], pixels, g)


@kernel()
def _forward(start, stop, x, rows, columns, order, image, y, switches, g):
    best, (at_row, at_column) = np.empty(LANES, x.dtype), np.empty((2, LANES), np.int32)
    tops, top_rows = np.empty(g.w * LANES, x.dtype), np.empty(g.w * LANES, np.int32)
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
        for k in mine:
            first, last = columns[k, 0, 0], max(columns[k, 0, 0], columns[k, g.ow - 1, 1])
            at, width = (first - s0) * LANES, (last - first) * LANES
            for p in range(g.oh):
                top, bottom = rows[k, p, 0], rows[k, p, 1]
                tops[:width] = LOWEST
                top_rows[:width] = -1
                for r in range(top, bottom):
                    here = tile[r - r0, at : at + width]
                    for i in range(len(here)):
                        wins = here[i] > tops[i]
                        tops[i] = here[i] if wins else tops[i]
                        top_rows[i] = r if wins else top_rows[i]
                for q in range(g.ow):
                    left, right = columns[k, q, 0], columns[k, q, 1]
                    best[:] = LOWEST if top < bottom and left < right else 0.0
                    at_row[:] = -1
                    for s in range(left, right):  # of equal ones the earlier row wins
                        i = (s - first) * LANES
                        here, row = tops[i : i + LANES], top_rows[i : i + LANES]
                        for j in range(LANES):
                            wins = (here[j] > best[j]) | (
                                (here[j] == best[j]) & (row[j] < at_row[j])
                            )
                            best[j] = here[j] if wins else best[j]
                            at_row[j] = row[j] if wins else at_row[j]
                            at_column[j] = s if wins else at_column[j]
                    b = p * g.ow + q
                    for c in range(c1 - c0):
                        place = np.int64(at_row[c]) * g.w + at_column[c]
                        y[k, c0 + c, b] = best[c]
                        switches[k, c0 + c, b] = place if at_row[c] >= 0 else -1


@kernel()
def _backward(start, stop, order, image, switches, gy, gx, g):
    for unit in range(start, stop):
        n, c = divmod(unit, g.c)
        gx[n, c] = 0
        for k in order[image[n] : image[n + 1]]:
            for b in range(g.oh * g.ow):
                if 0 <= switches[k, c, b] < g.h * g.w:
                    gx[n, c, switches[k, c, b]] += gy[k, c, b]


def forward(x: Array, rois: Array, y: Array, switches: Array, g: Geometry) -> None:
    rows, columns = np.empty((g.k, g.oh, 2), np.int64), np.empty((g.k, g.ow, 2), np.int64)
    for bins, low, high, pixels in ((rows, 2, 4, g.h), (columns, 1, 3, g.w)):
        first, last = (np.ascontiguousarray(rois[:, j], np.float64) for j in (low, high))
        launch(_edges, g.k, bins.size, first, last, pixels, g, bins)
    order, image = by_image(rois[:, 0].astype(np.int64), g.n)
    flat = g.k, g.c, g.oh * g.ow
    launch(_forward, g.n * blocks_of(g.c), 8 * y.size, x, rows, columns, order, image,
           y.reshape(flat), switches.reshape(flat), g)  # fmt: skip


def backward(rois: Array, switches: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    check(None, rois, g)  # again: they may have been written to since forward
    if gx is None:
        return
    order, image = by_image(rois[:, 0].astype(np.int64), g.n)
    flat = g.k, g.c, g.oh * g.ow
    launch(_backward, g.n * g.c, gx.size + gy.size, order, image, switches.reshape(flat),
           gy.reshape(flat), gx.reshape(g.n, g.c, g.h * g.w), g)  # fmt: skip
