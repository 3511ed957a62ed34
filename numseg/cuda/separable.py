"""Images whose rows are weighted sums of another image's rows, and their columns of its columns.

A table says what a row, or a column, is the sum of: entries ``first[p]`` up to ``first[p + 1]``,
each a place and a weight. A thread owns a pixel of the result and gathers: rows first, in order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import int32

from numseg.cuda.launch import Ints, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.tables import kept
from numseg.kernels.sampling.filter_taps import along
from numseg.typing import Array


class Planes(NamedTuple):
    """What is read, (planes, h, w), and what is filled, (planes, oh, ow)."""

    planes: int
    h: int
    w: int
    oh: int
    ow: int


def copy(x: Any, y: Any, rows: Any, columns: Any, g: Planes) -> None:
    """``y[p, q] = x[rows[p], columns[q]]``."""
    launch(_copy, g.planes, g.oh * g.ow, x, y, rows, columns, g)


def sums(x: Any, y: Any, rows: tuple[Any, ...], columns: tuple[Any, ...], g: Planes) -> None:
    """Fill y by the tables of its rows and columns: (first, place, weight) each."""
    launch(_sums, g.planes, g.oh * g.ow, x, y, *rows, *columns, g)


def filtered(x: Any, y: Any, g: Any, transposed: bool = False) -> None:
    """Fill y by the filter of an upsampling's call, or x's gradient by its transpose: by the tables
    of the CPU."""
    (n, c, h, w), (oh, ow) = x.shape, y.shape[2:]
    tables = _filter(g._replace(n=0, c=0), x.dtype, transposed)
    sums(x, y, tables[:3], tables[3:], Planes(n * c, h, w, oh, ow))


@kept
def _filter(g: Any, dtype: Any, transposed: bool) -> tuple[Array, ...]:
    rows, columns = along(g, dtype, transposed)
    return *rows, *columns


def copies(sources: Array, size: int, dtype: Any) -> tuple[Array, Array, Array]:
    """The table for the way back from ``copy`` along one axis: the copies of each pixel."""
    order = np.argsort(sources, kind="stable")
    first = np.searchsorted(sources[order], np.arange(size + 1))
    return first, order, np.ones(len(order), dtype)


@kernel
def _copy(x: Reals, y: Reals, rows: Ints, columns: Ints, g: Planes) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    source = int32(rows[p] * g.w + columns[pixel - p * g.ow])
    while plane < g.planes:
        y[plane * g.oh * g.ow + pixel] = x[plane * g.h * g.w + source]
        plane = next_plane(plane)


@kernel
def _sums(
    x: Reals,
    y: Reals,
    row_first: Ints,
    row: Ints,
    row_weight: Reals,
    column_first: Ints,
    column: Ints,
    column_weight: Reals,
    g: Planes,
) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    e0, e1, f0, f1 = row_first[p], row_first[p + 1], column_first[q], column_first[q + 1]
    while plane < g.planes:
        base = plane * g.h * g.w
        total = y.dtype.type(0)
        f = f0
        while f < f1:
            line = y.dtype.type(0)
            e = e0
            while e < e1:
                line += row_weight[e] * x[base + row[e] * g.w + column[f]]
                e = int32(e + 1)
            total += column_weight[f] * line
            f = int32(f + 1)
        y[plane * g.oh * g.ow + pixel] = total
        plane = next_plane(plane)
