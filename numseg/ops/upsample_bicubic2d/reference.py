"""upsample_bicubic2d, and upsample_bilinear2d with antialias, by their definition."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from numseg.geometry import Filter, Line
from numseg.typing import Array

Taps = list[tuple[Array, Array]]
"""For each output pixel along one axis, the pixels that it reads, and their weights."""


def forward(x: Array, g: Any) -> Array:
    rows, columns = _axes(g)
    y = np.zeros((g.n, g.c, g.oh, g.ow))
    for p, (i, above) in enumerate(rows):
        for q, (j, left) in enumerate(columns):
            y[:, :, p, q] = (np.outer(above, left) * x[:, :, i][..., j]).sum((2, 3))
    return y


def backward(gy: Array, g: Any) -> Array:
    rows, columns = _axes(g)
    gx = np.zeros((g.n, g.c, g.h, g.w))
    for p, (i, above) in enumerate(rows):
        for q, (j, left) in enumerate(columns):
            gx[:, :, i[:, None], j] += np.outer(above, left) * gy[:, :, p, q, None, None]
    return gx


def matrix(g: Any) -> Any:
    """Rows and columns are filtered independently: a Kronecker product."""
    from scipy import sparse

    def axis(size: int, taps: Taps) -> Any:
        at = np.repeat(np.arange(len(taps)), [len(i) for i, _ in taps])
        pixels, weights = (np.concatenate([[], *parts]) for parts in zip(*taps, strict=True))
        return sparse.csr_matrix((weights, (at, pixels.astype(int))), (len(taps), size))

    rows, columns = _axes(g)
    if not rows or not columns:
        return sparse.csr_matrix((g.n * g.c * g.oh * g.ow, g.n * g.c * g.h * g.w))
    both = sparse.kron(axis(g.h, rows), axis(g.w, columns))
    return sparse.kron(sparse.eye(g.n * g.c), both).tocsr()


def _axes(g: Any) -> tuple[Taps, Taps]:
    return _taps(g.h, g.oh, g.rows, g.fy, g.filter), _taps(g.w, g.ow, g.columns, g.fx, g.filter)


def _taps(size: int, out: int, line: Line, factor: float, kind: Filter) -> Taps:
    """In exact arithmetic, but for positions and widths by a factor, which are float64."""
    u, v, numerator, denominator = line
    shrinks: Any = Fraction(size, out) if out else 1
    if factor:
        shrinks = 1 / factor
    width = max(shrinks, 1) if kind.antialias else 1
    found = []
    for o in range(out):
        s: Any = Fraction((2 * o + u) * numerator + v * denominator, 2 * denominator)
        if factor:
            s = (2 * o + u) / (2 * factor) + v / 2
        weights: dict[int, Any] = {}
        away = math.ceil(kind.radius * width)
        for i in range(math.floor(s) - away, math.floor(s) + away + 2):
            inside = min(max(i, 0), size - 1)
            if abs(i - s) / width < kind.radius and (inside == i or not kind.exclude_outside):
                weights[inside] = weights.get(inside, 0) + _weight((i - s) / width, kind)
        found.append((np.array([*weights]), _divided([*weights.values()])))
    return found


def _divided(weights: list[Any]) -> Array:
    return np.array(weights, np.float64) / np.float64(sum(weights))


def _weight(t: Any, kind: Filter) -> Any:
    t = abs(t)
    if kind.radius == 1:
        return 1 - t
    a = Fraction(kind.a) if isinstance(t, Fraction) else kind.a
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t - 1) * (t - 2) ** 2
