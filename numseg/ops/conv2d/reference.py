"""conv2d by its definition: a sum over the taps (i, j) of the kernel.

Every tap sees the padded image through a view of the output's size, its pixels a stride apart.
Forward reads through that view, the gradient of x adds through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numseg.geometry import extent
from numseg.ops.conv2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
    y: Array = np.zeros((g.n, g.groups, g.f // g.groups, g.oh, g.ow))
    for i, j, window in _taps(_pad(x, g), g):
        y += np.einsum("gfc,ngcpq->ngfpq", _grouped(w, g)[..., i, j], window)
    y = y.reshape(g.n, g.f, g.oh, g.ow)
    return y if b is None else y + b[:, None, None]


def grad_x(w: Array, gy: Array, g: Geometry) -> Array:
    gy = gy.reshape(g.n, g.groups, g.f // g.groups, g.oh, g.ow)
    padded = _pad(np.zeros((g.n, g.c, g.h, g.w)), g)
    for i, j, window in _taps(padded, g):
        window += np.einsum("gfc,ngfpq->ngcpq", _grouped(w, g)[..., i, j], gy)
    padded = padded.reshape(g.n, g.c, *padded.shape[-2:])
    return padded[..., g.pt : g.pt + g.h, g.pl : g.pl + g.w]


def grad_w(x: Array, gy: Array, g: Geometry) -> Array:
    gy = gy.reshape(g.n, g.groups, g.f // g.groups, g.oh, g.ow)
    gw = np.zeros((g.groups, g.f // g.groups, g.c // g.groups, g.kh, g.kw))
    for i, j, window in _taps(_pad(x, g), g):
        gw[..., i, j] = np.einsum("ngfpq,ngcpq->gfc", gy, window)
    return gw.reshape(g.f, g.c // g.groups, g.kh, g.kw)


def grad_b(gy: Array, g: Geometry) -> Array:
    return gy.sum((0, 2, 3))


def backward(x: Array, w: Array, gy: Array, g: Geometry) -> tuple[Array, Array, Array]:
    return grad_x(w, gy, g), grad_w(x, gy, g), grad_b(gy, g)


def _grouped(w: Array, g: Geometry) -> Array:
    """w as (groups, filters of a group, channels of a group, kh, kw)."""
    return w.reshape(g.groups, g.f // g.groups, g.c // g.groups, g.kh, g.kw)


def _pad(x: Array, g: Geometry) -> Array:
    """The image, by groups of channels, and the zeros around it that windows reach."""
    rows = max((g.oh - 1) * g.sy + extent(g.kh, g.dy), g.pt + g.h)
    columns = max((g.ow - 1) * g.sx + extent(g.kw, g.dx), g.pl + g.w)
    padded = np.zeros((g.n, g.groups, g.c // g.groups, rows, columns))
    padded[..., g.pt : g.pt + g.h, g.pl : g.pl + g.w] = x.reshape(
        g.n, g.groups, g.c // g.groups, g.h, g.w
    )
    return padded


def _taps(padded: Array, g: Geometry) -> Iterator[tuple[int, int, Array]]:
    """For each tap: the pixels (n, groups, channels, oh, ow) that it meets, as a view."""
    for i in range(g.kh):
        for j in range(g.kw):
            rows = slice(i * g.dy, i * g.dy + g.oh * g.sy, g.sy)
            columns = slice(j * g.dx, j * g.dx + g.ow * g.sx, g.sx)
            yield i, j, padded[..., rows, columns][..., : g.oh, : g.ow]


def matrix(w: Array, b: Array | None, g: Geometry) -> Any:
    """``M[(n, f, p, q), (n, c, row, column)] = w[f, c, i, j]``, one entry for each product."""
    from scipy import sparse

    per_group = g.f // g.groups, g.c // g.groups
    f, c, i, j, p, q = np.ogrid[: g.f, : per_group[1], : g.kh, : g.kw, : g.oh, : g.ow]
    row, column = p * g.sy - g.pt + i * g.dy, q * g.sx - g.pl + j * g.dx
    output = (f * g.oh + p) * g.ow + q
    channel = f // max(per_group[0], 1) * per_group[1] + c
    pixel = (channel * g.h + row) * g.w + column
    on_image = (row >= 0) & (row < g.h) & (column >= 0) & (column < g.w)
    values, output, pixel, on_image = np.broadcast_arrays(
        w[..., None, None], output, pixel, on_image
    )
    entries = values[on_image], (output[on_image], pixel[on_image])
    image = sparse.coo_array(entries, (g.f * g.oh * g.ow, g.c * g.h * g.w))
    return sparse.kron(sparse.eye_array(g.n), image, format="csr")
