"""The product of two matrices, for operators that are one.

    out[m, n] = sum over k of  a[m, k] * b[k, n]

A unit owns a block of out. It copies what it needs of b, some rows at a time, into a panel, from
which the micro-kernel (:mod:`numseg.kernels.machine.micro_kernel`) reads vectors; the numbers of a
are broadcast from where they lie. Every number of out is summed over k in order, so its bits do not
depend on the sizes of blocks, on threads, or on how many rows a has.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.few_rows import MOST_ROWS, few_rows
from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.kernels.machine.work_units import ENOUGH_UNITS
from numseg.typing import Array

TILES = ((8, 3), (8, 1)) if TARGET.registers == 32 else ((4, 3), (8, 1))
"""Rows x vectors of columns. The second is for matrices of a vector's width at most. A tile has no
more rows than a cache has ways: rows of a may be a multiple of 4096 bytes apart."""

_wide, _narrow = (micro_kernel(*tile) for tile in TILES)

DEPTHS = (160, 1024)
"""Rows of a panel. A wide tile's share of it leaves room in the first-level cache; for a narrow
one, rows of a are read once, and a long way at a time."""

COLUMNS = 4
"""Tiles side by side in a unit: with 512 rows, its sums fill a part of the second-level cache."""

ROWS = 512
"""Rows of a unit, so that copying a number of b costs little against using it so often; fewer
where there would be less than ``ENOUGH_UNITS``."""

FEWEST_ROWS = 64


class MatmulWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides the arrays.
    A step is from an index to the next."""

    m: int
    n: int
    k: int
    a_row: int
    a_step: int
    b_step: int
    b_column: int
    out_row: int
    out_column: int
    rows: int  # of a unit
    columns: int  # of a unit, made up to whole tiles
    depth: int  # of a panel
    narrow: bool
    tile_rows: int
    tile_vectors: int
    lanes: int


@kernel()
def _multiply(start, stop, a, b, out, s):
    panel, sums = np.empty(s.depth * s.columns, a.dtype), np.empty(s.rows * s.columns, a.dtype)
    a_rows, sum_rows = np.empty(s.rows, np.int64), np.empty(s.rows, np.int64)
    vectors = np.arange(s.columns // s.lanes) * s.lanes
    steps = np.empty((s.depth, 2), np.int64)
    for k in range(s.depth):
        steps[k, 0], steps[k, 1] = k * s.a_step, k * s.columns
    across = (s.n + s.columns - 1) // s.columns
    for unit in range(start, stop):
        down, block = divmod(unit, across)
        m0, n0 = down * s.rows, block * s.columns
        rows, columns = min(s.rows, s.m - m0), min(s.columns, s.n - n0)
        for r in range(s.rows):
            row = min(r, rows - 1)  # a tile that ends beyond the last row repeats it
            a_rows[r], sum_rows[r] = (m0 + row) * s.a_row, row * s.columns
        sums[:] = 0
        for k0 in range(0, s.k, s.depth):
            depth = min(s.depth, s.k - k0)
            pack_panel(panel, b, k0, depth, n0, columns, s)
            left = a[k0 * s.a_step :]
            for v in range(0, (columns + s.lanes - 1) // s.lanes, s.tile_vectors):
                for r in range(0, rows, s.tile_rows):
                    if s.narrow:
                        _narrow(left, a_rows, r, panel, vectors, v, steps, 0, depth,
                                sums, sum_rows, r, vectors, v, True)  # fmt: skip
                    else:
                        _wide(left, a_rows, r, panel, vectors, v, steps, 0, depth,
                              sums, sum_rows, r, vectors, v, True)  # fmt: skip
        for r in range(rows):
            source = sums[r * s.columns :]
            target = out[(m0 + r) * s.out_row + n0 * s.out_column :]
            if s.out_column == 1:
                for i in range(columns):
                    target[i] = source[i]
            else:
                for i in range(columns):
                    target[i * s.out_column] = source[i]


@rule
def pack_panel(panel, b, k0, depth, n0, columns, s):
    """Rows of b to the panel; zeros beyond, as what else lies there may be slow to multiply."""
    for k in range(depth):
        target = panel[k * s.columns :]
        for i in range(columns, s.columns):
            target[i] = 0
    if s.b_column == 1:
        for k in range(depth):
            target, source = panel[k * s.columns :], b[(k0 + k) * s.b_step + n0 :]
            for i in range(columns):
                target[i] = source[i]
    else:  # columns of b lie like rows
        transpose(b[n0 * s.b_column + k0 :], s.b_column, columns, depth, panel, s.columns, s.lanes)


def matmul(a: Array, b: Array, out: Array) -> None:
    """``out = a @ b``. Each is contiguous, or the transpose of such an array."""
    (m, k), n = a.shape, b.shape[1]
    lanes = TARGET.vector_bytes // out.itemsize
    together = a.flags.c_contiguous and out.flags.c_contiguous and k > 0
    if m <= MOST_ROWS and n >= lanes and together and not b.flags.c_contiguous:
        return few_rows(a, b.T, None, out)
    if m < min(lanes, n) and not b.flags.c_contiguous:  # the same sums with less to transpose
        a, b, out, m, n = b.T, a.T, out.T, n, m
    narrow = n <= lanes
    tile_rows, tile_vectors = TILES[narrow]
    tile = tile_vectors * lanes
    columns = tile * (1 if narrow else min(COLUMNS, ceil_div(n, tile)))
    rows, across = ROWS, ceil_div(n, columns) if n else 0
    while rows > FEWEST_ROWS and ceil_div(m, rows) * across < ENOUGH_UNITS:
        rows //= 2
    s = MatmulWork(
        m, n, k, *_steps(a), *_steps(b), *_steps(out),
        rows, columns, DEPTHS[narrow], narrow, tile_rows, tile_vectors, lanes,
    )  # fmt: skip
    units = ceil_div(m, rows) * across
    launch(_multiply, units, m * n * k // lanes, _flat(a), _flat(b), _flat(out), s)


def _steps(matrix: Array) -> tuple[int, int]:
    rows, columns = matrix.shape
    return (columns, 1) if matrix.flags.c_contiguous else (1, rows)


def _flat(matrix: Array) -> Array:
    """The numbers as they lie in memory, without a copy."""
    return matrix.reshape(-1) if matrix.flags.c_contiguous else matrix.T.reshape(-1)
