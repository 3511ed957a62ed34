"""adaptive_avg_pool2d by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.adaptive_avg_pool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    y = np.empty((g.n, g.c, g.oh, g.ow))
    for p, q in np.ndindex(g.oh, g.ow):
        y[:, :, p, q] = x[:, :, bin_of(p, g.h, g.oh), bin_of(q, g.w, g.ow)].mean((2, 3))
    return y


def backward(gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n, g.c, g.h, g.w))
    for p, q in np.ndindex(g.oh, g.ow):
        pixels = gx[:, :, bin_of(p, g.h, g.oh), bin_of(q, g.w, g.ow)]
        pixels += gy[:, :, p, q, None, None] / (pixels.shape[2] * pixels.shape[3])
    return gx


def bin_of(p: int, size: int, bins: int) -> slice:
    """The pixels of bin p along an axis."""
    return slice(p * size // bins, -(-(p + 1) * size // bins))


def matrix(g: Geometry) -> Any:
    """Rows and columns are independent: a Kronecker product."""
    from scipy import sparse

    def axis(size: int, bins: int) -> Any:
        means = np.zeros((bins, size))
        for p in range(bins):
            pixels = means[p, bin_of(p, size, bins)]
            pixels[:] = 1 / len(pixels)
        return sparse.csr_matrix(means)

    plane = sparse.kron(axis(g.h, g.oh), axis(g.w, g.ow))
    return sparse.kron(sparse.eye(g.n * g.c), plane)
