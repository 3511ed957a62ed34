"""upsample_bilinear2d by its definition."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from numseg.geometry import Line
from numseg.ops.upsample_bicubic2d import reference as filtered
from numseg.ops.upsample_bilinear2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    if g.antialias:
        return filtered.forward(x, g)
    (above, below, fy), (left, right, fx) = _taps(g)
    upper = (1 - fx) * x[:, :, above][..., left] + fx * x[:, :, above][..., right]
    lower = (1 - fx) * x[:, :, below][..., left] + fx * x[:, :, below][..., right]
    return (1 - fy[:, None]) * upper + fy[:, None] * lower


def backward(gy: Array, g: Geometry) -> Array:
    if g.antialias:
        return filtered.backward(gy, g)
    (above, below, fy), (left, right, fx) = _taps(g)
    gx = np.zeros((g.n, g.c, g.h, g.w))
    for p in range(g.oh):
        for q in range(g.ow):
            for row, row_weight in ((above[p], 1 - fy[p]), (below[p], fy[p])):
                for column, column_weight in ((left[q], 1 - fx[q]), (right[q], fx[q])):
                    gx[:, :, row, column] += row_weight * column_weight * gy[:, :, p, q]
    return gx


def matrix(g: Geometry) -> Any:
    """Rows and columns are interpolated independently: a Kronecker product."""
    if g.antialias:
        return filtered.matrix(g)
    from scipy import sparse

    def axis(size: int, before: Array, after: Array, part: Array) -> Any:
        o = np.arange(len(part))
        weights = np.concatenate([1 - part, part])
        places = np.concatenate([o, o]), np.concatenate([before, after])
        return sparse.csr_matrix((weights, places), (len(o), size))

    rows, columns = _taps(g)
    blend = sparse.kron(axis(g.h, *rows), axis(g.w, *columns))
    return sparse.kron(sparse.eye(g.n * g.c), blend).tocsr()


def _taps(g: Geometry) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
    """For each output row and column: the pixel before, the pixel after, the part of the latter."""
    return _axis(g.h, g.oh, g.rows, g.fy), _axis(g.w, g.ow, g.columns, g.fx)


def _axis(size: int, out: int, line: Line, factor: float) -> tuple[Array, Array, Array]:
    """In exact arithmetic, but for a position by a factor, which is float64."""
    u, v, numerator, denominator = line
    positions = []
    for o in range(out):
        at = Fraction((2 * o + u) * numerator + v * denominator, 2 * denominator)
        if factor:
            at = Fraction((2 * o + u) / (2 * factor) + v / 2)
        positions.append(min(max(at, Fraction(0)), Fraction(size - 1)))
    before = np.array([math.floor(at) for at in positions], int)
    part = np.array([float(at - math.floor(at)) for at in positions])
    return before, np.minimum(before + 1, size - 1), part
