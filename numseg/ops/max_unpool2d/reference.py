"""max_unpool2d by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.max_pool2d import places_of
from numseg.ops.max_unpool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, switches: Array, g: Geometry) -> Array:
    y = np.zeros((g.n, g.c, g.oh * g.ow))
    at = _places(switches, g)
    for n, c, p, q in np.ndindex(x.shape):
        if g.summed:
            y[n, c, at[n, c, p, q]] += x[n, c, p, q]
        else:
            y[n, c, at[n, c, p, q]] = x[n, c, p, q]
    return y.reshape(g.n, g.c, g.oh, g.ow)


def backward(switches: Array, gy: Array, g: Geometry) -> Array:
    at = _places(switches, g)
    picked = np.take_along_axis(
        gy.reshape(g.n, g.c, g.oh * g.ow), np.maximum(at, 0).reshape(g.n, g.c, g.h * g.w), -1
    ).reshape(switches.shape)
    gets = (at >= 0) & (g.all_get | _stays(at))
    return np.where(gets, picked, 0.0)


def matrix(switches: Array, g: Geometry) -> Any:
    """A 1 in the column of each value that stays."""
    from scipy import sparse

    at = _places(switches, g)
    planes = np.arange(g.n * g.c).reshape(g.n, g.c, 1, 1)
    stays = np.ones(at.shape, bool) if g.summed else _stays(at)
    rows = (planes * g.oh * g.ow + at)[stays]
    columns = np.arange(at.size).reshape(at.shape)[stays]
    shape = (g.n * g.c * g.oh * g.ow, at.size)
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape)


def _places(switches: Array, g: Geometry) -> Array:
    """Where each value goes in its output plane; -1 is nowhere."""
    strides = g.image, g.channel, g.row, g.column
    at = places_of(switches.astype(np.int64), strides, g.ih, g.iw)
    row, column = np.divmod(at, max(g.iw, 1))
    return np.where(at >= 0, row * g.ow + column, -1)


def _stays(at: Array) -> Array:
    """Which values are not overwritten: those whose place no later one of the plane has."""
    stays = np.ones(at.shape, bool)
    for n, c in np.ndindex(at.shape[:2]):
        seen = set()
        for p, q in reversed(list(np.ndindex(at.shape[2:]))):
            stays[n, c, p, q] = at[n, c, p, q] not in seen
            seen.add(at[n, c, p, q])
    return stays
