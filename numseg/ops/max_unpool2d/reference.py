"""max_unpool2d by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.max_unpool2d import Geometry
from numseg.typing import Array


def forward(y: Array, switches: Array, g: Geometry) -> Array:
    x = np.zeros((g.n * g.c, g.oh * g.ow))
    pooled = (g.n * g.c, g.h * g.w)
    for plane, (places, values) in enumerate(
        zip(switches.reshape(pooled), y.reshape(pooled), strict=True)
    ):
        for place, value in zip(places, values, strict=True):
            x[plane, place] = value
    return x.reshape(g.n, g.c, g.oh, g.ow)


def backward(switches: Array, gx: Array, g: Geometry) -> Array:
    return np.where(_stays(switches, g), _picked(switches, gx, g), 0.0)


def matrix(switches: Array, g: Geometry) -> Any:
    from scipy import sparse

    planes = np.arange(g.n * g.c).reshape(g.n, g.c, 1, 1)
    stays = _stays(switches, g).ravel()
    rows = (planes * g.oh * g.ow + switches).ravel()[stays]
    columns = np.arange(switches.size)[stays]
    shape = (g.n * g.c * g.oh * g.ow, switches.size)
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape)


def _picked(switches: Array, gx: Array, g: Geometry) -> Array:
    """The number at each switch."""
    flat = switches.reshape(g.n, g.c, g.h * g.w)
    plane = gx.reshape(g.n, g.c, g.oh * g.ow)
    return np.take_along_axis(plane, flat, -1).reshape(switches.shape)


def _stays(switches: Array, g: Geometry) -> Array:
    """Which values are not overwritten: those whose switch no later one of the plane repeats."""
    stays = np.ones((g.n * g.c, g.h * g.w), bool)
    for plane, places in enumerate(switches.reshape(len(stays), g.h * g.w).tolist()):
        seen = set()
        for i in reversed(range(len(places))):
            stays[plane, i] = places[i] not in seen
            seen.add(places[i])
    return stays.reshape(switches.shape)
