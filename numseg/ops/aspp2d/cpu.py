"""aspp2d on the CPU: conv2d's kernels for each branch, concat's or add's to put them together."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.sums import row_sum
from numseg.ops.add import Geometry as Addition
from numseg.ops.add import cpu as add
from numseg.ops.aspp2d.geometry import Geometry
from numseg.ops.concat import cpu as concat
from numseg.ops.concat.geometry import Geometry as Stack
from numseg.ops.conv2d import cpu as conv2d
from numseg.typing import Array


@kernel()
def _total(start, stop, x, share, totals):
    """The sum of each plane, times a share."""
    for plane in range(start, stop):
        totals[plane] = row_sum(x[plane]) * share


@kernel()
def _spread(start, stop, values, share, y):
    """To each pixel of a plane its value, times a share."""
    for plane in range(start, stop):
        y[plane] = values[plane] * share


def forward(
    x: Array, ws: tuple[Array, ...], w_pool: Array | None, b: Array | None, y: Array, g: Geometry
) -> None:
    parts = [np.empty((g.n, f, g.h, g.w), y.dtype) for f in g.filters]
    biases = _biases(b, g)
    for w, bias, part, one in zip(ws, biases, parts, g.branches, strict=False):
        conv2d.forward(x, w, bias, part, one)
    if w_pool is not None:
        level = np.empty((g.n, g.filters[-1], 1, 1), y.dtype)
        conv2d.forward(_mean(x, g), w_pool, biases[-1], level, g.pooled)
        _fill(level, 1.0, parts[-1])
    if g.add:
        _add_up(parts, y)
    else:
        concat.forward(tuple(map(_frozen, parts)), y, _stack(g))


def backward(
    x: Array,
    ws: tuple[Array, ...],
    w_pool: Array | None,
    gy: Array,
    gx: Array | None,
    gws: tuple[Array, ...] | None,
    gw_pool: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    gys = _parts(gy, g)
    if gb is not None:
        conv2d.grad_b(gy, gb)
    if gws is not None:
        for part, gw, one in zip(gys, gws, g.branches, strict=False):
            conv2d.grad_w(x, part, gw, one)
    if gx is not None:
        gxs = [np.empty(gx.shape, gx.dtype) for _ in g.filters]
        for w, part, one_gx, one in zip(ws, gys, gxs, g.branches, strict=False):
            conv2d.grad_x(w, part, one_gx, one)
    if w_pool is not None:
        glevel = _totals(gys[-1], 1.0)
        if gw_pool is not None:
            conv2d.grad_w(_mean(x, g), glevel, gw_pool, g.pooled)
        if gx is not None:
            gmean = np.empty((g.n, g.c, 1, 1), gx.dtype)
            conv2d.grad_x(w_pool, glevel, gmean, g.pooled)
            _fill(gmean, 1 / max(g.h * g.w, 1), gxs[-1])
    if gx is not None:
        _add_up(gxs, gx)


def _biases(b: Array | None, g: Geometry) -> list[Any]:
    """Each branch's part of b; all of it for the first one if they are added up."""
    if b is None or g.add:
        return [b, *[None] * (len(g.filters) - 1)]
    return np.split(b, np.cumsum(g.filters)[:-1])


def _stack(g: Geometry) -> Stack:
    return Stack(1, g.filters, g.n, g.h * g.w)


def _parts(gy: Array, g: Geometry) -> list[Array]:
    """What each branch gets of gy."""
    if g.add:
        return [gy] * len(g.filters)
    parts = tuple(np.empty((g.n, f, g.h, g.w), gy.dtype) for f in g.filters)
    concat.backward(gy, parts, _stack(g))
    return [_frozen(part) for part in parts]


def _add_up(parts: list[Array], y: Array) -> None:
    total = parts[0]
    for part in parts[1:]:
        add.forward(_frozen(total), _frozen(part), y, Addition(y.size))
        total = y
    if total is not y:
        y[...] = total


def _mean(x: Array, g: Geometry) -> Array:
    return _totals(x, 1 / max(g.h * g.w, 1))


def _totals(x: Array, share: float) -> Array:
    n, c, h, w = x.shape
    totals = np.empty((n, c, 1, 1), x.dtype)
    launch(_total, n * c, x.size, x.reshape(n * c, h * w), share, totals.reshape(-1))
    return _frozen(totals)


def _fill(values: Array, share: float, y: Array) -> None:
    n, c, h, w = y.shape
    launch(_spread, n * c, y.size, _frozen(values.reshape(-1)), share, y.reshape(n * c, h * w))


def _frozen(array: Array) -> Array:
    """A view to read, as inputs are: kernels are compiled for that."""
    view = array.view()
    view.flags.writeable = False
    return view
