"""upsample_bilinear2d on CUDA. A thread owns a pixel: of the output, or, backward, of the input,
where it gathers from the output pixels that read it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.cuda import separable
from numseg.cuda.launch import Ints, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.separable import Planes
from numseg.cuda.tables import kept
from numseg.ops.upsample_bilinear2d.cpu import readers_along, taps_along
from numseg.ops.upsample_bilinear2d.geometry import Geometry
from numseg.typing import Array


@kernel
def _forward(
    x: Reals,
    y: Reals,
    row: Ints,
    row_weight: Reals,
    column: Ints,
    column_weight: Reals,
    g: Planes,
) -> None:
    """The first half of each table is of the pixels before, the second of those after."""
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    above, left = int32(row[p] * g.w), column[q]
    below, right = int32(row[g.oh + p] * g.w), column[g.ow + q]
    upper, lower = row_weight[p], row_weight[g.oh + p]
    less, more = column_weight[q], column_weight[g.ow + q]
    while plane < g.planes:
        base = plane * g.h * g.w
        first = less * x[base + above + left] + more * x[base + above + right]
        second = less * x[base + below + left] + more * x[base + below + right]
        y[plane * g.oh * g.ow + pixel] = upper * first + lower * second
        plane = next_plane(plane)


def forward(x: Any, y: Any, g: Geometry) -> None:
    if g.antialias:
        separable.filtered(x, y, g)
        return
    tables = _taps(g._replace(n=0, c=0), x.dtype)
    sizes = Planes(g.n * g.c, g.h, g.w, g.oh, g.ow)
    launch(_forward, g.n * g.c, g.oh * g.ow, x, y, *tables, sizes)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None and g.antialias:
        separable.filtered(gy, gx, g, transposed=True)
    elif gx is not None:
        tables = _readers(g._replace(n=0, c=0), gx.dtype)
        sizes = Planes(g.n * g.c, g.oh, g.ow, g.h, g.w)
        separable.sums(gy, gx, tables[:3], tables[3:], sizes)


@kept
def _taps(g: Geometry, dtype: Any) -> tuple[Array, ...]:
    """Of rows, then of columns: the pixels before, the pixels after; and their weights."""
    rows, _ = taps_along(g.h, g.oh, g.rows, g.fy, dtype)
    columns, _ = taps_along(g.w, g.ow, g.columns, g.fx, dtype)
    return tuple(
        np.concatenate(pair)
        for axis in (rows, columns)
        for pair in ((axis.before, axis.after), (axis.less, axis.more))
    )


@kept
def _readers(g: Geometry, dtype: Any) -> tuple[Array, ...]:
    """For each row of the input, then for each column: the output's that read it."""
    rows = readers_along(g.h, g.oh, g.rows, g.fy, dtype, 1)
    columns = readers_along(g.w, g.ow, g.columns, g.fx, dtype, 1)
    return tuple(
        table for axis in (rows, columns) for table in (axis.first, axis.steps[:, 1], axis.weight)
    )
