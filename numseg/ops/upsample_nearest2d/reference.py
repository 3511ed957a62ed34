"""upsample_nearest2d by its definition."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from numseg.geometry import Line
from numseg.ops.upsample_nearest2d.geometry import ROUNDINGS, Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    rows, columns = _sources(g)
    return x[:, :, rows][:, :, :, columns]


def backward(gy: Array, g: Geometry) -> Array:
    rows, columns = _sources(g)
    gx = np.zeros((g.n, g.c, g.h, g.w))
    for p, r in enumerate(rows):
        for q, s in enumerate(columns):
            gx[:, :, r, s] += gy[:, :, p, q]
    return gx


def matrix(g: Geometry) -> Any:
    """Rows and columns are looked up independently: a Kronecker product."""
    from scipy import sparse

    def axis(sources: list[int], size: int) -> Any:
        o = len(sources)
        return sparse.csr_matrix((np.ones(o), (np.arange(o), np.array(sources, int))), (o, size))

    rows, columns = _sources(g)
    lookup = sparse.kron(axis(rows, g.h), axis(columns, g.w))
    return sparse.kron(sparse.eye(g.n * g.c), lookup).tocsr()


def _sources(g: Geometry) -> tuple[list[int], list[int]]:
    """The row that each output row copies, and the column that each output column copies."""
    rows = [_source(p, g.h, g.rows, g.fy, g.rounding) for p in range(g.oh)]
    return rows, [_source(q, g.w, g.columns, g.fx, g.rounding) for q in range(g.ow)]


def _source(o: int, size: int, line: Line, factor: float, rounding: int) -> int:
    u, v, numerator, denominator = line
    half = Fraction(1, 2)
    at = (o + u * half) * Fraction(numerator, denominator) + v * half
    if factor:  # float64, which is what a position by a factor is
        at = Fraction((2 * o + u) / (2 * factor) + v / 2)
    rounded = {
        "floor": math.floor(at),
        "ceil": math.ceil(at),
        "round_prefer_floor": math.ceil(at - half),
        "round_prefer_ceil": math.floor(at + half),
    }
    return min(max(rounded[ROUNDINGS[rounding]], 0), size - 1)
