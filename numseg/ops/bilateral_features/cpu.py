"""bilateral_features on the CPU, and spatial_features, which has no colours. A unit is a row of a
feature."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import launch
from numseg.kernels.reductions.sums import row_product, row_sum
from numseg.ops.bilateral_features.geometry import Geometry
from numseg.typing import Array


@rule
def _unit(unit, g):
    """A unit's image, feature and row."""
    plane, i = divmod(unit, g.h)
    n, feature = divmod(plane, g.c + 2)
    return n, feature, i


@kernel()
def _forward(start, stop, x, width, y, g):
    for unit in range(start, stop):
        n, feature, i = _unit(unit, g)
        out, one = y[n, feature, i], width[feature]
        if feature == 0:
            for j in range(len(out)):
                out[j] = x.dtype.type(j) / one
        elif feature == 1:
            out[:] = x.dtype.type(i) / one
        else:
            row = x[n, feature - 2, i]
            for j in range(len(out)):
                out[j] = row[j] / one


@kernel()
def _backward(start, stop, width, gy, gx, g):
    for unit in range(start, stop):
        plane, i = divmod(unit, g.h)
        n, c = divmod(plane, g.c)
        row, out, one = gy[n, 2 + c, i], gx[n, c, i], width[2 + c]
        for j in range(len(out)):
            out[j] = row[j] / one


@kernel({"contract"})
def _products(start, stop, x, gy, columns, sums, g):
    """``sums``, (N, 2 + C, H), of the rows of grad_y times the feature's position or colour."""
    for unit in range(start, stop):
        n, feature, i = _unit(unit, g)
        row = gy[n, feature, i]
        if feature == 0:
            total = row_product(row, 0.0, columns)
        elif feature == 1:
            total = row_sum(row) * i
        else:
            total = row_product(row, 0.0, x[n, feature - 2, i])
        sums[n, feature, i] = total


def forward(x: Array, width: Array, y: Array, g: Geometry) -> None:
    launch(_forward, g.n * (2 + g.c) * g.h, y.size, x, width, y, g)


def backward(
    x: Array, width: Array, gy: Array, gx: Array | None, gw: Array | None, g: Geometry
) -> None:
    if gx is not None:
        launch(_backward, g.n * g.c * g.h, gx.size, width, gy, gx, g)
    if gw is not None:
        gw[...] = width_gradient(x, width, gy, g)


@np.errstate(all="ignore")  # infinities and NaN come and go as in kernels
def width_gradient(x: Array, width: Array, gy: Array, g: Geometry) -> Array:
    sums, columns = np.empty((g.n, 2 + g.c, g.h)), np.arange(g.w, dtype=x.dtype)
    columns.flags.writeable = False
    launch(_products, sums.size, gy.size, x, gy, columns, sums, g)
    result: Array = -sums.sum((0, 2)) / width.astype(np.float64) ** 2
    return result
