"""roi_pool on the CPU.

Forward: a unit is a block of channels of one image, side by side: for each column the largest of a
bin's rows, then the largest of its columns. Backward: a unit is a plane; its RoIs add to it in
their order.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel, rule
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


@rule
def _larger(best, row, here, r):
    """Take over what is larger in row r."""
    for i in range(len(best)):
        wins = here[i] > best[i]
        best[i] = here[i] if wins else best[i]
        row[i] = r if wins else row[i]


@rule
def _merge(best, place, here, row, s, width):
    """Take over what is larger in column s, or as large and in an earlier row."""
    for lane in range(LANES):
        at = np.int64(row[lane]) * width + s
        wins = (here[lane] > best[lane]) | ((here[lane] == best[lane]) & (at < place[lane]))
        wins = wins & (row[lane] >= 0)
        best[lane] = here[lane] if wins else best[lane]
        place[lane] = at if wins else place[lane]


@kernel()
def _forward(start, stop, x, rows, columns, order, image, y, switches, g):
    best, place = np.empty(LANES, x.dtype), np.empty(LANES, np.int64)
    tops, places = np.empty(g.w * LANES, x.dtype), np.empty(g.w * LANES, np.int32)
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
                places[:width] = -1
                for r in range(top, bottom):
                    _larger(tops[:width], places[:width], tile[r - r0, at : at + width], r)
                for q in range(g.ow):
                    left, right = columns[k, q, 0], columns[k, q, 1]
                    best[:] = LOWEST if top < bottom and left < right else 0.0
                    place[:] = -1
                    for s in range(left, right):
                        i = (s - first) * LANES
                        _merge(best, place, tops[i : i + LANES], places[i : i + LANES], s, g.w)
                    for c in range(c1 - c0):
                        y[k, c0 + c, p * g.ow + q] = best[c]
                        switches[k, c0 + c, p * g.ow + q] = place[c]


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
