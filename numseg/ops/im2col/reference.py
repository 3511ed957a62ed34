"""im2col and its transpose by their definition, one tap (i, j) at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.ops.im2col.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    y = np.zeros((g.n, g.c, g.kh, g.kw, g.oh, g.ow))
    for i, j, outputs, pixels in _taps(g):
        y[:, :, i, j][outputs] = x[pixels]
    return y.reshape(g.n, g.c * g.kh * g.kw, g.oh * g.ow)


def backward(gy: Array, g: Geometry) -> Array:
    gy = gy.reshape(g.n, g.c, g.kh, g.kw, g.oh, g.ow)
    gx = np.zeros((g.n, g.c, g.h, g.w))
    for i, j, outputs, pixels in _taps(g):
        gx[pixels] += gy[:, :, i, j][outputs]
    return gx


def _taps(g: Geometry) -> Iterator[tuple[int, int, Any, Any]]:
    """For each tap (i, j): the outputs (..., p, q) where it falls on the image, and its pixels."""
    for i in range(g.kh):
        for j in range(g.kw):
            p, q = np.arange(g.oh), np.arange(g.ow)
            row, column = p * g.sy - g.pt + i * g.dy, q * g.sx - g.pl + j * g.dx
            p, row = p[(row >= 0) & (row < g.h)], row[(row >= 0) & (row < g.h)]
            q, column = q[(column >= 0) & (column < g.w)], column[(column >= 0) & (column < g.w)]
            yield i, j, (..., p[:, None], q), (..., row[:, None], column)


def matrix(g: Geometry) -> Any:
    """A 0/1 matrix: which pixel each entry of the columns is."""
    from scipy import sparse

    numbers = 1.0 + np.arange(g.n * g.c * g.h * g.w).reshape(g.n, g.c, g.h, g.w)
    pixel = forward(numbers, g).astype(int).ravel() - 1  # -1 in the padding
    entry = np.flatnonzero(pixel >= 0)
    shape = len(pixel), numbers.size
    return sparse.csr_array((np.ones(len(entry)), (entry, pixel[entry])), shape)
