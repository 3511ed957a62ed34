"""roi_pool by its definition: the largest pixel of each bin."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.roi_pool.geometry import Geometry
from numseg.typing import Array

LOWEST = float(np.finfo(np.float32).min)


def forward(x: Array, rois: Array, g: Geometry) -> tuple[Array, Array]:
    y = np.zeros((g.k, g.c, g.oh, g.ow))
    switches = np.full((g.k, g.c, g.oh, g.ow), -1)
    for k, (n, x1, y1, x2, y2) in enumerate(rois):
        for p, rows in enumerate(_bins(y1, y2, g.oh, g.h, g)):
            for q, columns in enumerate(_bins(x1, x2, g.ow, g.w, g)):
                if len(rows) == 0 or len(columns) == 0:
                    continue
                places = (np.array(rows)[:, None] * g.w + np.array(columns)).ravel()
                pixels = x[int(n)].reshape(g.c, g.h * g.w)[:, places]
                candidates = np.where(pixels > LOWEST, pixels, LOWEST)  # nor is NaN larger
                first = np.argmax(candidates, -1)
                y[k, :, p, q] = candidates.max(-1)
                switches[k, :, p, q] = np.where(y[k, :, p, q] > LOWEST, places[first], -1)
    return y, switches


def backward(rois: Array, switches: Array, gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n, g.c, g.h * g.w))
    for k, p, q in np.ndindex(g.k, g.oh, g.ow):
        for c in range(g.c):
            if switches[k, c, p, q] >= 0:
                gx[int(rois[k, 0]), c, switches[k, c, p, q]] += gy[k, c, p, q]
    return gx.reshape(g.n, g.c, g.h, g.w)


def matrix(rois: Array, g: Geometry, indices: Array) -> Any:
    """``M[(k, c, p, q), (n, c, pixel)]`` is 1 where the pixel is in the switch."""
    from scipy import sparse

    k, c, p, q = np.nonzero((indices >= 0) & (indices < g.h * g.w))
    output = ((k * g.c + c) * g.oh + p) * g.ow + q
    pixel = (rois[k, 0].astype(int) * g.c + c) * g.h * g.w + indices[k, c, p, q]
    shape = g.k * g.c * g.oh * g.ow, g.n * g.c * g.h * g.w
    return sparse.csr_array((np.ones(len(output)), (output, pixel)), shape)


def _bins(first: Any, last: Any, bins: int, pixels: int, g: Geometry) -> list[range]:
    """The pixels of each bin along one axis, as far as there are any."""
    kind: Any = np.float32 if g.single else np.float64
    p, scale = np.arange(bins), kind(g.scale)
    if g.whole:
        low, high = (_nearest(float(kind(v) * scale), g.even) for v in (first, last))
        size = max(high - low + 1, 1)
    else:
        low = kind(first) * scale
        size = (kind(last) + kind(1)) * scale - low
    if size <= 0:
        return [range(0)] * bins
    if g.exact:
        starts, ends = low + p * size // bins, low - (-(p + 1) * size // bins)
    else:
        step = kind(size) / kind(bins)
        starts, ends = p.astype(kind) * step, (p + 1).astype(kind) * step
        if g.whole:
            starts, ends = (v.astype(np.float64) for v in (np.floor(starts), np.ceil(ends)))
        starts, ends = np.floor(starts + low), np.ceil(ends + low)
    return [range(max(int(a), 0), min(int(b), pixels)) for a, b in zip(starts, ends, strict=True)]


def _nearest(value: float, even: bool) -> int:
    """Halves go away from zero, or to the even number."""
    if even:
        return round(value)
    size = int(abs(value))
    size += abs(value) - size >= 0.5
    return -size if value < 0 else size
