"""aspp2d by its definition: convolutions, and the mean of the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.aspp2d.geometry import Geometry
from numseg.ops.conv2d import reference as conv2d
from numseg.typing import Array


def forward(
    x: Array, ws: tuple[Array, ...], w_pool: Array | None, b: Array | None, g: Geometry
) -> Array:
    parts = [conv2d.forward(x, w, None, one) for w, one in zip(ws, g.branches, strict=True)]
    if w_pool is not None:
        level = np.einsum("nc,fc->nf", _mean(x, g), w_pool[..., 0, 0])
        parts.append(np.broadcast_to(level[..., None, None], (*level.shape, g.h, g.w)))
    y = np.sum(parts, 0) if g.add else np.concatenate(parts, 1)
    return y if b is None else y + b[:, None, None]


def backward(
    x: Array, ws: tuple[Array, ...], w_pool: Array | None, gy: Array, g: Geometry
) -> tuple[Array, tuple[Array, ...], Array | None, Array]:
    ends = np.cumsum(g.filters)[:-1]
    gys = [gy] * len(g.filters) if g.add else np.split(gy, ends, 1)
    branches = list(zip(g.branches, ws, gys, strict=False))
    gx = np.sum([conv2d.grad_x(w, part, one) for one, w, part in branches], 0)
    gws = tuple(conv2d.grad_w(x, part, one) for one, _, part in branches)
    gw_pool = None
    if w_pool is not None:
        glevel = gys[-1].sum((2, 3))
        gw_pool = np.einsum("nf,nc->fc", glevel, _mean(x, g))[..., None, None]
        gmean = np.einsum("nf,fc->nc", glevel, w_pool[..., 0, 0])
        gx = gx + gmean[..., None, None] / max(g.h * g.w, 1)
    return gx, gws, gw_pool, gy.sum((0, 2, 3))


def _mean(x: Array, g: Geometry) -> Array:
    return x.sum((2, 3)) / max(g.h * g.w, 1)


def matrix(ws: tuple[Array, ...], w_pool: Array | None, b: Array | None, g: Geometry) -> Any:
    """The branches' matrices, added up, or with their rows in the order of the channels."""
    from scipy import sparse

    parts = [conv2d.matrix(w, None, one) for w, one in zip(ws, g.branches, strict=True)]
    pixels = g.h * g.w
    if w_pool is not None:
        same = sparse.csr_array(np.full((pixels, pixels), 1 / max(pixels, 1)))
        level = sparse.kron(sparse.csr_array(w_pool[..., 0, 0]), same)
        parts.append(sparse.kron(sparse.eye_array(g.n), level))
    if g.add:
        return sum(parts[1:], parts[0]).tocsr()
    stacked = sparse.vstack(parts, format="csr")
    starts = np.cumsum([0, *(g.n * f * pixels for f in g.filters)])
    rows = [
        start + np.arange(g.n * f * pixels).reshape(g.n, f * pixels)
        for start, f in zip(starts, g.filters, strict=False)
    ]
    return stacked[np.concatenate(rows, 1).ravel()]
