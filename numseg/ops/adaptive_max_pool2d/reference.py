"""adaptive_max_pool2d by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.adaptive_avg_pool2d.geometry import Geometry
from numseg.ops.adaptive_avg_pool2d.reference import bin_of
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> tuple[Array, Array]:
    y = np.empty((g.n, g.c, g.oh, g.ow))
    switches = np.empty((g.n, g.c, g.oh, g.ow), int)
    for p, q in np.ndindex(g.oh, g.ow):
        y[:, :, p, q], switches[:, :, p, q] = largest(x, bin_of(p, g.h, g.oh), bin_of(q, g.w, g.ow))
    return y, switches


def largest(x: Array, rows: slice, columns: slice) -> tuple[Array, Array]:
    """Of each plane, the last NaN or else the first maximum in a bin, and its place."""
    n, c, h, w = x.shape
    places = np.arange(h * w).reshape(h, w)[rows, columns].ravel()
    pixels = x[:, :, rows, columns].reshape(n, c, len(places))
    nan = np.isnan(pixels)
    last_nan = len(places) - 1 - np.argmax(nan[..., ::-1], -1)
    first_maximum = np.argmax(np.where(nan, -np.inf, pixels), -1)
    winner = np.where(nan.any(-1), last_nan, first_maximum)
    return np.take_along_axis(pixels, winner[..., None], -1)[..., 0], places[winner]


def backward(switches: Array, gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n, g.c, g.h * g.w))
    for n, c, p, q in np.ndindex(switches.shape):
        if 0 <= switches[n, c, p, q] < g.h * g.w:
            gx[n, c, switches[n, c, p, q]] += gy[n, c, p, q]
    return gx.reshape(g.n, g.c, g.h, g.w)


def matrix(g: Geometry, indices: Array) -> Any:
    """A 1 in each row, at its switch."""
    return matrix_of(indices, g)


def matrix_of(switches: Array, g: Any) -> Any:
    """For every value of (N, C, ...) switches, a 1 at the pixel of its plane; -1 is none."""
    from scipy import sparse

    rows = np.arange(switches.size).reshape(switches.shape)
    planes = np.arange(g.n * g.c).reshape(g.n, g.c, *[1] * (switches.ndim - 2))
    at = (switches >= 0) & (switches < g.h * g.w)
    columns = (planes * g.h * g.w + switches)[at]
    shape = switches.size, g.n * g.c * g.h * g.w
    return sparse.csr_matrix((np.ones(len(columns)), (rows[at], columns)), shape)
