"""grid_sample by its definition."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.ops.grid_sample.geometry import MODES, PADDINGS, Geometry
from numseg.typing import Array

A = -0.75

Tap = tuple[int, float, float]
"""A pixel along one axis, its weight, and the derivative of that by the coordinate."""


def forward(x: Array, grid: Array, g: Geometry) -> Array:
    y = np.zeros((g.n, g.c, g.oh, g.ow))
    for n, p, q, rows, columns in _samples(grid, g):
        for i, above, _ in rows:
            for j, left, _ in columns:
                y[n, :, p, q] += above * left * x[n, :, i, j]
    return y


def backward(x: Array, grid: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    gx, ggrid = np.zeros(x.shape), np.zeros(grid.shape)
    for n, p, q, rows, columns in _samples(grid, g):
        slopes = np.zeros((g.c, 2))
        for i, above, above_slope in rows:
            for j, left, left_slope in columns:
                gx[n, :, i, j] += above * left * gy[n, :, p, q]
                slopes[:, 0] += above * left_slope * x[n, :, i, j]
                slopes[:, 1] += above_slope * left * x[n, :, i, j]
        if MODES[g.mode] != "nearest":
            ggrid[n, p, q] = (gy[n, :, p, q, None] * slopes).sum(0)
    return gx, ggrid


def matrix(grid: Array, g: Geometry) -> Any:
    from scipy import sparse

    parts = []
    for n in range(g.n):
        one = sparse.lil_matrix((g.oh * g.ow, g.h * g.w))
        for m, p, q, rows, columns in _samples(grid, g):
            for i, above, _ in rows if m == n else []:
                for j, left, _ in columns:
                    one[p * g.ow + q, i * g.w + j] += above * left
        parts.append(sparse.kron(sparse.eye(g.c), one))
    shape = g.n * g.c * g.oh * g.ow, g.n * g.c * g.h * g.w
    return sparse.block_diag(parts, "csr") if 0 not in shape else sparse.csr_matrix(shape)


def _samples(grid: Array, g: Geometry) -> Iterator[tuple[int, int, int, list[Tap], list[Tap]]]:
    for n, p, q in np.ndindex(g.n, g.oh, g.ow):
        column, row = (float(v) for v in grid[n, p, q])
        yield n, p, q, _taps(row, g.h, g), _taps(column, g.w, g)


def _taps(coordinate: float, size: int, g: Geometry) -> list[Tap]:
    """The pixels of the image that count."""
    mode, padding = MODES[g.mode], PADDINGS[g.padding]
    scale = (size - 1 if g.align else size) / 2
    if math.isnan(coordinate) or (padding == "reflection" and abs(coordinate) * scale >= 2**30):
        coordinate = -1.0
    if math.isinf(coordinate) and padding == "zeros":
        return []
    s = (coordinate + 1) * scale - (0.0 if g.align else 0.5)
    s = min(max(s, -4.0), size + 4.0) if padding == "border" else s
    slope = scale
    if mode != "bicubic" and padding != "zeros":
        inside = _on_image(s, size, padding, g.align)
        straight = _reflected(s, size, g.align)[1] if padding == "reflection" else 1
        slope *= straight if 0 < inside < size - 1 else 0
        s = inside
    low = math.floor(s)
    t = s - low
    if mode == "nearest":
        near = [(round(s), 1.0, 0.0)]
    elif mode == "bilinear":
        near = [(low, 1 - t, -slope), (low + 1, t, slope)]
    else:
        near = [(low + k, *_cubic(k - t, slope)) for k in (-1, 0, 1, 2)]
    if mode == "bicubic" and padding != "zeros":
        near = [(int(_on_image(i, size, padding, g.align)), w, d) for i, w, d in near]
    return [tap for tap in near if 0 <= tap[0] < size]


def _on_image(s: float, size: int, padding: str, align: bool) -> float:
    if padding == "reflection":
        s = _reflected(s, size, align)[0]
    return min(max(s, 0), size - 1)


def _reflected(s: float, size: int, align: bool) -> tuple[float, int]:
    """Between the borders, and whether the way there and back runs on or back."""
    first, last = (0.0, size - 1.0) if align else (-0.5, size - 0.5)
    sign = 1
    if first == last:
        return first, 0
    s = first + (s - first) % (2 * (last - first))
    if s > last:
        s, sign = 2 * last - s, -1
    return s, sign


def _cubic(t: float, slope: float) -> tuple[float, float]:
    """Of a pixel t further on: its weight, and the derivative of that by where the sample lies."""
    away, back = abs(t), -1 if t > 0 else 1
    if away <= 1:
        value = (A + 2) * away**3 - (A + 3) * away**2 + 1
        return value, slope * back * (3 * (A + 2) * away**2 - 2 * (A + 3) * away)
    value = A * (away - 1) * (away - 2) ** 2
    return value, slope * back * A * (away - 2) * (3 * away - 4)
