"""conv_transpose2d by its definition: every input pixel stamps the kernel on the output.

In the geometry, which is the convolution's, our input is (f, oh, ow) and our output (c, h, w).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.geometry import extent
from numseg.ops.conv2d.reference import matrix as convolution_matrix
from numseg.ops.conv_transpose2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
    canvas = _canvas(g)
    x, w = _by_group(x, w, g)
    for i, j, place in _stamps(g):
        canvas[place] += np.einsum("ngcpq,gcf->ngfpq", x, w[..., i, j])
    y = _cut(canvas, g)
    if g.average:
        y = y / _overlap(g)
    return y if b is None else y + b[:, None, None]


def backward(x: Array, w: Array, gy: Array, g: Geometry) -> tuple[Array, Array, Array]:
    stamped = _canvas(g)
    _cut(stamped, g)[...] = gy / _overlap(g) if g.average else gy
    x, w = _by_group(x, w, g)
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for i, j, place in _stamps(g):
        gx += np.einsum("ngfpq,gcf->ngcpq", stamped[place], w[..., i, j])
        gw[..., i, j] = np.einsum("ngcpq,ngfpq->gcf", x, stamped[place])
    shape = g.f, g.c // g.groups, g.kh, g.kw
    return gx.reshape(g.n, g.f, g.oh, g.ow), gw.reshape(shape), gy.sum((0, 2, 3))


def _overlap(g: Geometry) -> Array:
    """How many stamps lie on each pixel of the output, and at least 1: x and w of ones."""
    single = g._replace(n=1, c=1, f=1, groups=1)
    canvas = _canvas(single)
    for _, _, place in _stamps(single):
        canvas[place] += 1
    return np.maximum(_cut(canvas, single), 1)


def _by_group(x: Array, w: Array, g: Geometry) -> tuple[Array, Array]:
    """x as (n, groups, channels, h, w), w as (groups, channels, filters, kh, kw)."""
    x = x.reshape(g.n, g.groups, g.f // g.groups, g.oh, g.ow)
    return x, w.reshape(g.groups, g.f // g.groups, g.c // g.groups, g.kh, g.kw)


def _canvas(g: Geometry) -> Array:
    """Zeros for the output and all that is cut off it: (n, groups, filters, rows, columns)."""
    rows = max((g.oh - 1) * g.sy + extent(g.kh, g.dy), g.pt + g.h)
    columns = max((g.ow - 1) * g.sx + extent(g.kw, g.dx), g.pl + g.w)
    return np.zeros((g.n, g.groups, g.c // g.groups, rows, columns))


def _cut(canvas: Array, g: Geometry) -> Array:
    """The output: the canvas (n, channels, rows, columns) without its margins, as a view."""
    n, groups, filters, rows, columns = canvas.shape
    whole = canvas.reshape(n, groups * filters, rows, columns)
    return whole[..., g.pt : g.pt + g.h, g.pl : g.pl + g.w]


def _stamps(g: Geometry) -> Iterator[tuple[int, int, Any]]:
    """For each tap (i, j): where on the canvas the input pixels put it."""
    for i in range(g.kh):
        for j in range(g.kw):
            rows = i * g.dy + g.sy * np.arange(g.oh)
            columns = j * g.dx + g.sx * np.arange(g.ow)
            yield i, j, (..., rows[:, None], columns)


def matrix(w: Array, b: Array | None, g: Geometry) -> Any:
    transposed = convolution_matrix(w, None, g.convolution).T
    if not g.average:
        return transposed
    from scipy import sparse

    shares = np.broadcast_to(1 / _overlap(g), (g.n, g.c, g.h, g.w))
    return sparse.diags_array(shares.ravel()) @ transposed
