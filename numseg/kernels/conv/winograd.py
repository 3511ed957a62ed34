"""Winograd's convolution: 3 x 3 taps of stride 1 with a half or a quarter of the multiplications.

The outputs are cut into tiles of m x m, which read tiles of (m + 2) x (m + 2) pixels. Kernels and
pixels are transformed (:mod:`numseg.kernels.conv.winograd_transforms`); at each of the (m + 2)**2
points p what is left is a product of matrices, which is transformed back::

    U[p, f, c] = G w[f, c] G'      V[p, c, t] = B x[c, t] B'
    M[p, f, t] = sum over c of U[p, f, c] * V[p, c, t]            y[f, t] = A M[f, t] A' + bias[f]

A unit is a band of rows of tiles, of one image or of several, and a chunk of filters. It makes V of
its band, then U of its chunk by blocks of channels, which the micro-kernel multiplies at once. So
no transformed image and no transformed weights exist as a whole. A thread whose next unit needs the
same U or V keeps it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue, epilogue_pass
from numseg.kernels.conv.problem import Correlation, Problem
from numseg.kernels.conv.winograd_transforms import (
    TAPS,
    image_tiles,
    output_tiles,
    split,
    weight_tiles,
)
from numseg.kernels.machine.integers import ceil_div, multiples
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.scratch import aligned, clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose_square
from numseg.typing import Array

ROWS = 8 if TARGET.registers == 32 else 4
"""Filters of a tile of the micro-kernel, beside up to three vectors of image tiles."""

_three, _two, _one = (micro_kernel(ROWS, vectors) for vectors in (3, 2, 1))

BLOCK = 64
"""Channels of a block at most. With a chunk of as many filters, a point's share of U and three
vectors of V fill the first-level cache, and U half of the second."""

CHUNK = 64
"""Filters of a unit at most: V is read once for each chunk."""

NEAR_BYTES = 640 * 1024
"""Of V at most, where that costs nothing: it stays in the second-level cache."""

MOST_BYTES = 5 * 512 * 1024
"""Of V at most, unless a row of tiles takes more: each band makes U of large weights again."""


class WinogradWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides the arrays."""

    groups: int
    channels: int  # of x, in a group
    filters: int  # channels of y, in a group
    h: int
    w: int
    oh: int
    ow: int
    pt: int
    pl: int
    down: int  # rows of tiles in an image
    across: int  # tiles in a row
    rows: int  # of tiles, in all images
    band: int  # rows of tiles in a unit
    bands: int
    tiles: int  # of a band, made up to whole vectors
    chunk: int
    chunks: int
    block: int
    blocks: int
    swapped: bool  # weights have channels first, and last taps first
    lanes: int
    width: int  # of a padded row of the image, divided by m
    begin: int  # a row's first pixel that is read
    size: int  # pixels of a row that are read
    u_row: int
    u_point: int
    v_point: int
    m_point: int


@kernel()
def _winograd(start, stop, x, w, bias, y, tile, s):
    s = as_fields(s, WinogradWork)
    size = (len(tile) + TAPS - 1) ** 2
    u = aligned(np.empty(size * s.u_point + s.lanes, x.dtype))
    v = aligned(np.empty(size * s.v_point + 2 * s.lanes, x.dtype))
    m = aligned(np.empty(size * s.m_point + 2 * s.lanes, x.dtype))
    clear(u)  # filters and pixels that make up whole tiles are numbers, if not those of others
    clear(v)
    taps = np.zeros((2 * TAPS * TAPS + s.lanes + 2) * s.lanes, x.dtype)
    lines = np.zeros(((s.band * len(tile) + TAPS - 1) * s.width + s.lanes) * len(tile), x.dtype)
    phases = np.zeros(len(lines) + 2 * s.lanes, x.dtype)
    results = np.empty(len(tile) * len(tile) * (s.across + s.lanes), x.dtype)
    rows = multiples(s.chunk, 1 if s.swapped else s.u_row)
    sums = multiples(s.chunk, s.tiles)
    vectors = multiples(s.tiles // s.lanes + 1, s.lanes)
    steps = np.empty((s.block, 2), np.int64)
    for k in range(s.block):
        steps[k, 0], steps[k, 1] = k * s.u_row if s.swapped else k, k * s.tiles
    tables = rows, sums, vectors, steps
    filled, made = -1, -1
    for unit in range(start, stop):
        cell, chunk = divmod(unit, s.chunks)
        band, group = divmod(cell, s.groups)
        first = band * s.band
        count = min(s.band, s.rows - first)
        if filled != cell:
            transform_image(x, v, phases, lines, group, first, count, tile, s)
            filled = cell
        f0 = chunk * s.chunk
        filters = min(s.chunk, s.filters - f0)
        for block in range(s.blocks):
            c0 = block * s.block
            channels = min(s.block, s.channels - c0)
            weights = (group * s.chunks + chunk) * s.blocks + block
            if made != weights:
                transform_weights(w, u, taps, group, f0, filters, c0, channels, tile, s)
                made = weights
            multiply_points(u, v[c0 * s.tiles :], m, tables, filters, channels,
                            (count * s.across + s.lanes - 1) // s.lanes, block == 0, size,
                            s)  # fmt: skip
        transform_back(m, y, results, bias, group, f0, filters, first, count, tile, s)


@rule
def transform_image(x, v, phases, lines, group, first, count, tile, s):
    """V of ``count`` rows of tiles. The last vector of a row reaches into the next one's place,
    which is filled after it."""
    line = s.width * len(tile)
    for c in range(s.channels):
        t, row = 0, first
        while row < first + count:
            image, top = divmod(row, s.down)
            run = min(s.down - top, first + count - row)
            plane = ((image * s.groups + group) * s.channels + c) * s.h
            height = run * len(tile) + TAPS - 1
            for i in range(height):
                z = top * len(tile) - s.pt + i
                if z < 0 or z >= s.h:
                    clear(lines[i * line : (i + 1) * line])
                elif s.size > 0:  # what is beside a row of the image stays zero
                    here, to = (plane + z) * s.w + s.begin, i * line + s.pl + s.begin
                    copy(x[here : here + s.size], lines[to : to + s.size])
            phase = (height * s.width + s.lanes - 1) // s.lanes * s.lanes
            split(tile, lines, phases, phase)
            for r in range(run):
                for q in range(0, s.across, s.lanes):
                    image_tiles(tile, phases, r * line + q, s.width, phase,
                                v, c * s.tiles + t + q, s.v_point)  # fmt: skip
                t += s.across
            row += run


@rule
def transform_weights(w, u, taps, group, f0, filters, c0, channels, tile, s):
    """U of a chunk of filters and a block of channels; its rows are those of w."""
    above, rows, below, columns, width = f0, filters, c0, channels, s.channels
    if s.swapped:
        above, rows, below, columns, width = c0, channels, f0, filters, s.filters
    above += group * (s.channels + s.filters - width)
    spare = (TAPS * TAPS + s.lanes) * s.lanes  # here the last kernels of all are copied to
    for r in range(rows):
        for q in range(0, columns, s.lanes):
            first = ((above + r) * width + below + q) * TAPS * TAPS
            inside = first + (TAPS * TAPS + 1) * s.lanes <= len(w)
            if not inside:
                copy(w[first:], taps[spare : spare + len(w) - first])
            for t in range(0, TAPS * TAPS, s.lanes):
                if inside:
                    transpose_square(w, first + t, TAPS * TAPS, taps, t * s.lanes, s.lanes)
                else:
                    transpose_square(taps, spare + t, TAPS * TAPS, taps, t * s.lanes, s.lanes)
            weight_tiles(tile, taps, s.swapped, u, r * s.u_row + q, s.u_point)


@rule
def multiply_points(u, v, m, tables, filters, channels, count, first, points, s):
    """A block's share of M, point by point."""
    rows, sums, vectors, steps = tables
    for p in range(points):
        a, b, out = u[p * s.u_point :], v[p * s.v_point :], m[p * s.m_point :]
        if first:
            clear(out[: filters * s.tiles])
        i = 0
        while i < count:
            take = count - i
            take = 2 if take == 4 else min(take, 3)
            for f in range(0, filters, ROWS):
                if take == 3:
                    _three(a, rows, f, b, vectors, i, steps, 0, channels,
                           out, sums, f, vectors, i, True)  # fmt: skip
                elif take == 2:
                    _two(a, rows, f, b, vectors, i, steps, 0, channels,
                         out, sums, f, vectors, i, True)  # fmt: skip
                else:
                    _one(a, rows, f, b, vectors, i, steps, 0, channels,
                         out, sums, f, vectors, i, True)  # fmt: skip
            i += take


@rule
def transform_back(m, y, results, bias, group, f0, filters, first, count, tile, s):
    """The outputs of a chunk, by rows of tiles."""
    line = len(tile) * (s.across + s.lanes)
    for f in range(filters):
        channel = group * s.filters + f0 + f
        for r in range(count):
            image, top = divmod(first + r, s.down)
            for q in range(0, s.across, s.lanes):
                output_tiles(tile, m, f * s.tiles + r * s.across + q, s.m_point, bias[channel],
                             results, q * len(tile), line)  # fmt: skip
            plane = y[(image * s.groups * s.filters + channel) * s.oh * s.ow :]
            top *= len(tile)
            for i in range(min(len(tile), s.oh - top)):
                to = (top + i) * s.ow
                copy(results[i * line : i * line + s.ow], plane[to : to + s.ow])


def suits(p: Problem) -> bool:
    """Only by name: it rounds otherwise. Not for groups of one channel, whose nine products take
    less than transforms."""
    return p.tile > 0 and (p.groups == 1 or p.channels > 1)


def forward(p: Problem) -> Correlation:
    """By tiles of ``p.tile`` x ``p.tile`` outputs."""
    return _correlation(_plan(p), p)


def input_gradient(p: Problem) -> Correlation:
    """The convolution of gy with the kernels upside down, (F, C / groups, 3, 3), channels first."""
    return _correlation(_plan(p, swapped=True), p)


def _correlation(s: WinogradWork, p: Problem) -> Correlation:
    outputs = p.images * s.groups * s.filters * s.oh * s.ow
    units, work = s.bands * s.groups * s.chunks, outputs * s.channels * TAPS * TAPS // s.lanes

    numbers = as_array(s)

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        start = np.zeros(y.shape[1], y.dtype)
        if bias is not None:
            start[:] = bias  # a copy: the kernel is compiled once, for an array of its own
        launch(_winograd, units, work, x.reshape(-1), w.reshape(-1), start, y.reshape(-1),
               (0,) * p.tile, numbers)  # fmt: skip
        epilogue_pass(y, epilogue)

    return run


def _plan(p: Problem, swapped: bool = False) -> WinogradWork:
    """Cut the work into units, by sizes alone. Output (u, v) meets pixel ``(u + i - pads[0], v + j
    - pads[1])`` at tap (i, j)."""
    groups, channels, filters, rows, columns = p[1:6]
    m, itemsize = p.tile, p.itemsize
    h, w, oh, ow, pads = rows.size, columns.size, p.height, p.width, (rows.pad, columns.pad)
    if swapped:
        channels, filters, h, w, oh, ow = filters, channels, oh, ow, h, w
        pads = TAPS - 1 - pads[0], TAPS - 1 - pads[1]
    lanes = TARGET.vector_bytes // itemsize
    down, across = ceil_div(oh, m), ceil_div(ow, m)
    points = (m + TAPS - 1) ** 2
    tile_rows = p.images * down
    blocks = max(ceil_div(channels, BLOCK), 1)
    block = ceil_div(channels, blocks)
    chunks = ceil_div(filters, CHUNK)
    chunk = ceil_div(ceil_div(filters, chunks), ROWS) * ROWS
    chunks = ceil_div(filters, chunk)
    row_bytes = max(points * channels * across * itemsize, 1)
    band = _band(tile_rows, across, row_bytes, chunks * blocks > 1, lanes)
    tiles = ceil_div(band * across, lanes) * lanes
    u_rows, u_columns = (block, chunk) if swapped else (chunk, block)
    u_row = ceil_div(u_columns, lanes) * lanes
    width = across + 1
    begin = max(-pads[1], 0)
    return WinogradWork(
        groups, channels, filters, h, w, oh, ow, *pads, down, across, tile_rows,
        band, ceil_div(tile_rows, band), tiles, chunk, chunks, block, blocks, swapped, lanes,
        width, begin, min(w, width * m - pads[1]) - begin,
        u_row, _odd(u_rows * u_row, lanes), _odd(channels * tiles + lanes, lanes),
        _odd(chunk * tiles + lanes, lanes),
    )  # fmt: skip


def _odd(size: int, lanes: int) -> int:
    """In vectors: or all points would meet in a few sets of the cache."""
    return (ceil_div(size, lanes) | 1) * lanes


def _band(rows: int, across: int, row_bytes: int, again: bool, lanes: int) -> int:
    """Rows of tiles in a unit: what costs least, in vectors of V to multiply by all of U; making U
    ``again`` is as much work as one of them."""

    def cost(band: int) -> tuple[float, int]:
        vectors = ceil_div(band * across, lanes) * (1.1 if band * row_bytes > NEAR_BYTES else 1)
        return (vectors + again) * rows / band, band

    most = max(min(MOST_BYTES // row_bytes, rows), 1)
    return min(range(1, most + 1), key=cost)
