"""pixel_shuffle2d by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.pixel_shuffle2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return x[_source(g)]


def backward(gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n, g.c * g.r * g.r, g.h, g.w))
    gx[_source(g)] = gy
    return gx


def matrix(g: Geometry) -> Any:
    """A permutation."""
    from scipy import sparse

    size = g.n * g.c * g.h * g.r * g.w * g.r
    places = np.arange(size).reshape(g.n, g.c * g.r * g.r, g.h, g.w)[_source(g)]
    return sparse.csr_matrix((np.ones(size), (np.arange(size), places.ravel())), (size, size))


def _source(g: Geometry) -> tuple[Array, ...]:
    """Which element of x each element of y is."""
    n, c, row, column = np.indices((g.n, g.c, g.h * g.r, g.w * g.r))
    i, j = row % g.r, column % g.r
    return n, c * g.channel + i * g.row + j * g.column, row // g.r, column // g.r
