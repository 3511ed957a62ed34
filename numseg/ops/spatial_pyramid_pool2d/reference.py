"""spatial_pyramid_pool2d by its definition: bin after bin, level after level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.errors import ArgumentError
from numseg.ops.adaptive_max_pool2d.reference import largest
from numseg.ops.spatial_pyramid_pool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> tuple[Array, Array]:
    values, switches = [], []
    for rows, columns, divisor in _bins(g):
        if g.maximum:
            value, place = largest(x, rows, columns)
            switches.append(place)
        else:
            value = x[:, :, rows, columns].sum((2, 3)) / divisor
        values.append(value)
    return _in_order(values, g), _in_order(switches, g) if g.maximum else np.zeros(0, int)


def backward(switches: Array, gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n, g.c, g.h, g.w))
    planes = gx.reshape(g.n, g.c, g.h * g.w)
    for k, (rows, columns, divisor) in enumerate(_bins(g)):
        grads = gy[:, _of_bin(k, g)]
        if not g.maximum:
            gx[:, :, rows, columns] += grads[..., None, None] / divisor
            continue
        places = switches[:, _of_bin(k, g)]
        for n, c in np.ndindex(g.n, g.c):
            if 0 <= places[n, c] < g.h * g.w:
                planes[n, c, places[n, c]] += grads[n, c]
    return gx


def matrix(g: Geometry, indices: Array | None = None) -> Any:
    """A row for each bin: its mean, or a 1 at its switch."""
    from scipy import sparse

    if g.maximum and indices is None:
        raise ArgumentError("linear only for given indices: pass it by name")
    pixels = np.arange(g.n * g.c * g.h * g.w).reshape(g.n, g.c, g.h, g.w)
    m = sparse.lil_matrix((g.n * g.c * sum(k * k for k in g.levels), pixels.size))
    number = np.arange(m.shape[0]).reshape(g.n, -1)
    for k, (rows, columns, divisor) in enumerate(_bins(g)):
        for n, c in np.ndindex(g.n, g.c):
            row = number[n, _of_bin(k, g)][c]
            if g.maximum and indices is not None:
                place = indices[n, _of_bin(k, g)][c]
                if 0 <= place < g.h * g.w:
                    m[row, pixels[n, c].ravel()[place]] = 1
            else:
                m[row, pixels[n, c, rows, columns].ravel()] = 1 / divisor
    return m


def _bins(g: Geometry) -> Iterator[tuple[slice, slice, int]]:
    """The rows and columns of each bin of each level, and what its sum is divided by."""
    for level in g.levels:
        for p, q in np.ndindex(level, level):
            rows, row_count = _span(p, level, g.h, g)
            columns, column_count = _span(q, level, g.w, g)
            yield rows, columns, row_count * column_count


def _span(p: int, level: int, size: int, g: Geometry) -> tuple[slice, int]:
    if not g.caffe:
        start, end = p * size // level, -(-(p + 1) * size // level)
        return slice(start, end), end - start
    k = -(-size // level)
    pad = (k * level - size + 1) // 2
    start, end = p * k - pad, min((p + 1) * k - pad, size + pad)
    return slice(max(start, 0), min(end, size)), end - start


def _of_bin(k: int, g: Geometry) -> Array:
    """Where bin k, counted over all levels, stands in a row of the result: a place per channel."""
    offset = 0
    for level in g.levels:
        if k < level * level:
            return offset + np.arange(g.c) * level * level + k
        k -= level * level
        offset += g.c * level * level
    raise IndexError(k)


def _in_order(bins: list[Array], g: Geometry) -> Array:
    """(N, C) for each bin, as rows of the result."""
    y = np.empty((g.n, g.c * len(bins)), bins[0].dtype)
    for k, values in enumerate(bins):
        y[:, _of_bin(k, g)] = values
    return y
