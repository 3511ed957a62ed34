"""lp_pool2d by its definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.ops.lp_pool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    y = np.zeros((g.n, g.c, g.oh, g.ow))
    for place, pixels, scale in windows(g):
        y[place] = (scale * powers(x[pixels], g).sum((2, 3))) ** (1 / g.p)
    return y


def backward(x: Array, gy: Array, g: Geometry) -> Array:
    gx = np.zeros((g.n, g.c, g.h, g.w))
    for place, pixels, scale in windows(g):
        factor = outer_slopes(scale * powers(x[pixels], g).sum((2, 3)), g) * scale
        gx[pixels] += (gy[place] * factor)[..., None, None] * inner_slopes(x[pixels], g)
    return gx


def powers(x: Array, g: Geometry) -> Array:
    """What is summed up."""
    return (np.abs(x) if g.absolute else x) ** g.p


def inner_slopes(x: Array, g: Geometry) -> Array:
    """The derivative of what is summed up, divided by p."""
    return np.sign(x) * np.abs(x) ** (g.p - 1) if g.absolute else x ** (g.p - 1)


def outer_slopes(s: Array, g: Geometry) -> Array:
    """The derivative of the root of a sum, times p; 0 where the sum is 0, unless p is 1."""
    return np.where((s == 0) & (g.p != 1), 0.0, s ** (1 / g.p - 1))


def windows(g: Geometry) -> Iterator[tuple[Any, Any, float]]:
    """The place of each output pixel, that of the pixels of its window that are on the image, and
    what it is scaled by."""
    for p in range(g.oh):
        rows, row_count = _span(p * g.sy - g.pt, g.kh, g.h, g.pb)
        for q in range(g.ow):
            columns, column_count = _span(q * g.sx - g.pl, g.kw, g.w, g.pr)
            scale = g.kh * g.kw / (row_count * column_count) if g.scaled else 1.0
            yield np.s_[:, :, p, q], np.s_[:, :, rows, columns], scale


def _span(start: int, k: int, size: int, after: int) -> tuple[slice, int]:
    """Along one axis: the taps on the image, and how many are within the padded image."""
    end = min(start + k, size + after)
    return slice(max(start, 0), max(min(end, size), 0)), end - start
