"""aspp2d on every device: conv2d for each branch, concat or add to put them together.

The mean of the image is its own: global_avg_pool2d divides a sum, which is multiplied here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.faces import gradients, piece, run
from numseg.operator import Spec
from numseg.ops.add import add
from numseg.ops.aspp2d import aspp2d
from numseg.ops.aspp2d.geometry import Geometry
from numseg.ops.concat import concat
from numseg.ops.concat.geometry import Geometry as Stack
from numseg.ops.conv2d import conv2d
from numseg.typing import Array


def forward(
    x: Array, ws: tuple[Array, ...], w_pool: Array | None, b: Array | None, y: Spec, g: Geometry
) -> Array:
    specs, biases = _specs(y, g), _biases(b, g)
    parts = [
        run(conv2d, branch, [x, w, bias], spec)
        for branch, w, bias, spec in zip(g.branches, ws, biases, specs, strict=False)
    ]
    if w_pool is not None:
        level = Spec((g.n, g.filters[-1], 1, 1), y.dtype)
        values = run(conv2d, g.pooled, [_mean(x, g), w_pool, biases[-1]], level)
        parts.append(piece(aspp2d, "spread", 1.0, [values], specs[-1]))
    return _sum(parts) if g.add else run(concat, _stack(g), [tuple(parts)], y)


def backward(
    x: Array,
    ws: tuple[Array, ...],
    w_pool: Array | None,
    gy: Array,
    gx: Spec | None,
    gws: tuple[Spec, ...] | None,
    gw_pool: Spec | None,
    gb: Spec | None,
    g: Geometry,
) -> list[Any]:
    gys = _parts(gy, g)
    branches = [
        gradients(conv2d, branch, [x, w, part], gx, gw, None)
        for branch, w, part, gw in zip(g.branches, ws, gys, gws or [None] * len(ws), strict=False)
    ]
    every = g.branches[0]._replace(f=gy.shape[1])
    bias = gb and gradients(conv2d, every, [None, None, gy], None, None, gb)[2]
    gxs = [branch[0] for branch in branches]
    pool = None
    if w_pool is not None and (gx or gw_pool):
        glevel = piece(aspp2d, "total", 1.0, [gys[-1]], Spec((g.n, g.filters[-1], 1, 1), gy.dtype))
        gmean = gx and Spec((g.n, g.c, 1, 1), gy.dtype)
        mean = gw_pool and _mean(x, g)
        gmean, pool, _ = gradients(conv2d, g.pooled, [mean, w_pool, glevel], gmean, gw_pool, None)
        gxs.append(gx and piece(aspp2d, "spread", _share(g), [gmean], gx))
    weights = gws and tuple(branch[1] for branch in branches)
    return [gx and _sum(gxs), weights, pool, bias]


def _specs(y: Spec, g: Geometry) -> list[Spec]:
    """Of each branch's result."""
    return [Spec((g.n, f, g.h, g.w), y.dtype) for f in g.filters]


def _biases(b: Array | None, g: Geometry) -> list[Any]:
    """Each branch's part of b; all of it for the first one if they are added up."""
    if b is None or g.add:
        return [b, *[None] * (len(g.filters) - 1)]
    ends = np.cumsum(g.filters).tolist()
    return [b[end - f : end] for f, end in zip(g.filters, ends, strict=True)]


def _parts(gy: Array, g: Geometry) -> Any:
    """What each branch gets of gy."""
    if g.add:
        return [gy] * len(g.filters)
    specs = tuple(Spec((g.n, f, g.h, g.w), gy.dtype) for f in g.filters)
    return gradients(concat, _stack(g), [gy], specs)[0]


def _stack(g: Geometry) -> Stack:
    return Stack(1, g.filters, g.n, g.h * g.w)


def _sum(parts: list[Array]) -> Array:
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return total


def _mean(x: Array, g: Geometry) -> Array:
    return piece(aspp2d, "total", _share(g), [x], Spec((g.n, g.c, 1, 1), x.dtype))


def _share(g: Geometry) -> float:
    """Of a pixel in the mean."""
    return 1 / max(g.h * g.w, 1)
