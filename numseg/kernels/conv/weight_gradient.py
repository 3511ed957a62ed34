"""The gradient of a convolution with respect to its weights.

    gw[f, c, i, j] = sum over n, u, v of  x[n, c, u at i, v at j] * gy[n, f, u, v]

It is the sum of :mod:`numseg.kernels.conv.direct` with steps and vectors exchanged: the pixels are
the steps, so a tile's rows are taps (i, c, j) whose pixels the micro-kernel broadcasts one by one
from the scratch, and its vectors are filters, for which the band of gy is transposed.

A unit owns the gradients of a block of channels and a chunk of filters, over a slice of the bands:
as many as leave room in the cache for bands that are worth it, since each band takes the sums up
and lays them down. The slices, if there are several, have all filters, and are added up in order in
the end. Slices are cut by sizes alone, so that the bits are
the same for any number of threads.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.packing import (
    SCRATCH_BYTES,
    SMALL_IMAGE,
    Layout,
    layout,
    memory_share,
    pack,
    residue_classes,
    scratch_for,
    tap_offsets,
    taps_on_image,
)
from numseg.kernels.conv.problem import Axis, Problem, WeightGradient
from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel, read_only, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.scratch import aligned, clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.kernels.machine.vector_copy import prefetch
from numseg.kernels.machine.work_units import ENOUGH_UNITS
from numseg.typing import Array

TILES = ((6, 4), (8, 2), (8, 1)) if TARGET.registers == 32 else ((4, 3), (6, 2), (6, 1))
"""Taps x vectors of filters."""

_wide, _thin, _single = (micro_kernel(*tile) for tile in TILES)

RUN_BYTES = SCRATCH_BYTES // 4
"""The micro-kernel takes as many pixels at once as leave their vectors of gy well within the
second-level cache: all taps of the block meet them there."""

TAKING_UP = 8
"""Pixels that a tile adds while it takes up its sums and lays them down."""

TRANSPOSING = 30
"""Multiply-adds of a vector of gy that take as long as to transpose it."""

PACKING = 6
"""Filters whose multiply-adds with a pixel of x take as long as to copy it."""

WORTH_TRANSPOSING = 288
"""Taps of a unit at least, if there are so many: each unit transposes its bands of gy."""

FEW_UNITS = 4
"""But rather than have fewer units, units have fewer taps."""


class WeightGradientWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides arrays and tables."""

    images: int
    groups: int
    channels: int  # of x, in a group
    filters: int  # channels of gy, in a group
    chunk: int  # filters of a unit
    chunks: int
    taps: int  # of a channel
    row_taps: int  # of a column
    rows: int
    columns: int
    band: int
    bands: int
    slices: int
    block: int  # channels of a unit
    blocks: int
    tile: int  # which of TILES
    tile_taps: int
    tile_vectors: int
    lanes: int
    padded: int  # filters of a unit, made up to whole tiles
    run: int


@kernel()
def _partial_sums(start, stop, x, gy, sums, gw, taps, out_rows, steps, vectors, layout, s):
    """``sums`` are of all units; but if there is one slice, of a unit at a time, whose are gw."""
    layout, s = as_fields(layout, Layout), as_fields(s, WeightGradientWork)
    scratch = scratch_for(layout, x)
    transposed = aligned(np.empty(s.band * s.columns * s.padded + s.lanes, x.dtype))
    clear(transposed)  # the filters that make up whole tiles stay zero
    if s.slices == 1:
        sums = np.empty(s.block * s.taps * s.padded, x.dtype)
    for unit in range(start, stop):
        rest, block = divmod(unit, s.blocks)
        rest, chunk = divmod(rest, s.chunks)
        cut, group = divmod(rest, s.groups)
        channels = min(s.block, s.channels - block * s.block)
        filters = min(s.chunk, s.filters - chunk * s.chunk)
        at = len(taps) // 2 if channels < s.block else 0
        first = (rest * s.channels + block * s.block) * s.taps
        begin = first * s.padded if s.slices > 1 else 0
        out = sums[begin : begin + channels * s.taps * s.padded]
        clear(out)
        cells = s.images * layout.residues * s.bands
        for cell in range(cells * cut // s.slices, cells * (cut + 1) // s.slices):
            rest, band = divmod(cell, s.bands)
            image, residue = divmod(rest, layout.residues)
            t0 = band * s.band
            height = min(s.band, (s.rows - residue + layout.residues - 1) // layout.residues - t0)
            if height <= 0:
                continue
            x_plane = (image * s.groups + group) * s.channels + block * s.block
            pack(scratch, x[x_plane * layout.h * layout.w :], channels, residue, t0, layout)
            gy_plane = (image * s.groups + group) * s.filters + chunk * s.chunk
            size = height * s.columns
            transpose_band(gy, gy_plane, filters, residue, t0, size, transposed, layout, s)
            row = residue + (t0 + height) * layout.residues
            gy_next = gy[(gy_plane * s.rows + row) * s.columns :]
            x_next = x[(x_plane * layout.h + (t0 + height) * layout.row_stride) * layout.w :]
            tiles = (channels * s.taps + s.tile_taps - 1) // s.tile_taps
            tiles *= (size + s.run - 1) // s.run * len(vectors) // s.tile_vectors
            share, fetched = (filters + channels) // tiles + 1, 0
            for p in range(0, size, s.run):
                end = min(p + s.run, size)
                top, bottom = t0 + p // s.columns, t0 + (end - 1) // s.columns
                i0, i1 = taps_on_image(top, bottom, residue, s.row_taps, layout)
                row = channels * (s.taps // s.row_taps)
                for v in range(0, len(vectors), s.tile_vectors):
                    for i in range(at + i0 * row, at + i1 * row, s.tile_taps):
                        run_tile(s.tile, scratch, taps, i, transposed, vectors, v, steps, p, end,
                                 out, out_rows)  # fmt: skip
                        for line in range(fetched, min(fetched + share, filters + channels)):
                            prefetch_line(line, filters, gy_next, x_next, height, layout, s)
                        fetched += share
        if s.slices == 1:
            size = s.channels * s.taps
            target = gw[(group * (s.filters - 1) + chunk * s.chunk) * size + first :]
            total = read_only(out)
            transpose(total, s.padded, channels * s.taps, filters, target, size, s.lanes)


@rule
def transpose_band(gy, plane, filters, residue, t0, size, transposed, layout, s):
    """A band of gy, with filters side by side."""
    together = size if layout.residues == 1 else s.columns
    for p in range(0, size, together):
        row = residue + (t0 + p // s.columns) * layout.residues
        source, target = gy[(plane * s.rows + row) * s.columns :], transposed[p * s.padded :]
        transpose(source, s.rows * s.columns, filters, together, target, s.padded, s.lanes)


@rule
def prefetch_line(line, filters, gy, x, height, layout, s):
    """What the next band reads of a filter, or else of a channel: while the tiles of one band are
    computed, the next comes into the cache, line by line."""
    if line < filters:
        first = line * s.rows * s.columns
        prefetch(gy, first, first + height * s.columns)
    else:
        first = (line - filters) * layout.h * layout.w
        prefetch(x, first, first + height * layout.row_stride * layout.w)


@rule
def run_tile(tile, x, taps, i, gy, vectors, v, steps, k0, k1, out, out_rows):
    if tile == 0:
        _wide(x, taps, i, gy, vectors, v, steps, k0, k1, out, out_rows, i, vectors, v, True)
    elif tile == 1:
        _thin(x, taps, i, gy, vectors, v, steps, k0, k1, out, out_rows, i, vectors, v, True)
    else:
        _single(x, taps, i, gy, vectors, v, steps, k0, k1, out, out_rows, i, vectors, v, True)


@kernel()
def _add_slices(start, stop, sums, gw, s):
    """A unit is a vector of taps of a group, for all its filters."""
    s = as_fields(s, WeightGradientWork)
    taps = s.channels * s.taps
    units = (taps + s.lanes - 1) // s.lanes
    for unit in range(start, stop):
        group, vector = divmod(unit, units)
        first = vector * s.lanes
        count = min(s.lanes, taps - first)
        begin = (group * taps + first) * s.padded
        total = sums[begin : begin + count * s.padded]
        for _ in range(1, s.slices):
            begin += s.groups * taps * s.padded
            term = sums[begin : begin + count * s.padded]
            for i in range(len(total)):
                total[i] += term[i]
        target = gw[group * s.filters * taps + first :]
        source = read_only(total)
        transpose(source, s.padded, count, s.filters, target, taps, s.lanes)


def weight_gradient(p: Problem) -> WeightGradient:
    """Of any convolution."""
    s, scratch, tables = _plan(p)
    taps = s.channels * s.taps
    work = p.groups * s.filters * taps * s.images * s.rows * s.columns // s.lanes
    units = s.slices * p.groups * s.chunks * s.blocks
    size = s.slices * p.groups * taps * s.padded if s.slices > 1 else 0

    numbers = as_array(scratch), as_array(s)

    def run(x: Array, gy: Array, gw: Array) -> None:
        sums, flat = np.empty(size, gw.dtype), gw.reshape(-1)
        launch(_partial_sums, units, work, x.reshape(-1), gy.reshape(-1), sums, flat, *tables,
               *numbers)  # fmt: skip
        if s.slices > 1:
            launch(_add_slices, p.groups * ceil_div(taps, s.lanes), size, sums, flat,
                   numbers[1])  # fmt: skip

    return run


def _plan(p: Problem) -> tuple[WeightGradientWork, Layout, tuple[Array, ...]]:
    """Cut the work into units, and tabulate the offsets."""
    images, groups, channels, filters, rows, columns = p[:6]
    itemsize, taps = p.itemsize, p.taps
    lanes = TARGET.vector_bytes // itemsize
    tile, padded = best_tile(channels * taps, filters, lanes)
    tile_taps, tile_vectors = TILES[tile]

    one_row = layout(rows, columns, channels, 1, itemsize)
    x_row = channels * one_row.channel // one_row.rows * itemsize
    gy_row = padded * columns.outputs * itemsize
    longest = ceil_div(rows.outputs, residue_classes(rows))
    x_size, y_size = (
        math.prod(p.x_shape),
        images * groups * filters * rows.outputs * columns.outputs,
    )
    pixels = min(rows.size * columns.size, rows.outputs * columns.outputs)
    share = memory_share((x_size + y_size) * itemsize, 0, pixels)
    if pixels >= SMALL_IMAGE:
        share -= share // 4  # for the sums
    room = min(share, SCRATCH_BYTES) - (one_row.rows - 1) * x_row
    most = room // max(x_row + gy_row, 1)
    bands = ceil_div(longest, max(min(most, longest), 1))
    band = ceil_div(longest, max(bands, 1))

    # the sums take no more memory than a sixteenth of what is read, or else one copy of gw
    cells = images * residue_classes(rows) * bands
    slices = _power_of_two(
        min((x_size + y_size) // 16 // (groups * channels * taps * padded), cells, ENOUGH_UNITS)
    )
    chunk = filters
    if slices > 1:
        wanted = ceil_div(ENOUGH_UNITS, slices * groups)
        least = min(ceil_div(FEW_UNITS, slices * groups), channels * taps * 4 // WORTH_TRANSPOSING)
        worth = max(channels * taps // WORTH_TRANSPOSING, least)
        block = ceil_div(channels, _power_of_two(min(wanted, worth)))
    else:
        block, chunk, band = _cut(p, tile_vectors * lanes, longest, share)
        bands = ceil_div(longest, band)
        padded = ceil_div(chunk, tile_vectors * lanes) * tile_vectors * lanes
    run = RUN_BYTES // (tile_vectors * TARGET.vector_bytes)
    if _on_image(rows) < 0.85:
        run = max(columns.outputs, lanes)  # then a run has but few rows of taps in the padding

    scratch = layout(rows, columns, block, band, itemsize)
    offsets = tap_offsets(scratch, rows, columns, block)
    s = WeightGradientWork(
        images, groups, channels, filters, chunk, ceil_div(filters, chunk), taps, rows.taps,
        rows.outputs, columns.outputs,
        band, bands, slices, block, ceil_div(channels, block), tile, tile_taps, tile_vectors, lanes,
        padded, run,
    )  # fmt: skip
    return s, scratch, (*_tap_lists(offsets, s), *_pixel_lists(scratch.width, s))


def _cut(p: Problem, vector: int, longest: int, share: int) -> tuple[int, int, int]:
    """Channels and filters of a unit, and rows of a band, which takes ``share`` bytes at most: what
    costs least, beside the multiply-adds. ``vector``: the filters of a tile."""

    def cost(block: int, chunk: int, band: int) -> tuple[int, float]:
        sums, pixels = block * p.taps * chunk, band * p.columns.outputs
        scratch = pixels * chunk + layout(p.rows, p.columns, block, band, p.itemsize).size
        room = scratch * p.itemsize <= share or band == 1
        fits = (sums + scratch) * p.itemsize <= SCRATCH_BYTES + SCRATCH_BYTES // 2
        units = p.groups * ceil_div(p.channels, block) * ceil_div(p.filters, chunk)
        passing = TAKING_UP / pixels + TRANSPOSING / (block * p.taps) + PACKING / (p.taps * chunk)
        idle = ceil_div(units, FEW_UNITS) * FEW_UNITS / units
        return 0 if room else scratch, (1 + passing) * idle * (1 if fits else 2)

    chunks = {
        ceil_div(ceil_div(p.filters, n), vector) * vector
        for n in range(1, ceil_div(p.filters, 4 * vector) + 1)
    }
    blocks = {ceil_div(p.channels, 1 << n) for n in range(p.channels.bit_length())}
    bands = {ceil_div(longest, 1 << n) for n in range(longest.bit_length())}
    return min(itertools.product(blocks, chunks, bands), key=lambda c: (cost(*c), c))


def _last_again(count: int, length: int) -> Array:
    return np.minimum(np.arange(length), count - 1)


def _tap_lists(offsets: Array, s: WeightGradientWork) -> tuple[Array, Array]:
    """Of the taps of a block, by rows of taps: offsets in the scratch, and in the sums, (channels,
    taps); then the last again and again. Then the same for the last block, which may be shorter."""
    i, c, j = np.ogrid[tuple(slice(size) for size in offsets.shape)]
    sums = ((c * s.row_taps + i) * offsets.shape[2] + j) * s.padded
    lists = []
    for table in (offsets, sums):
        parts = []
        for channels in (s.block, s.channels - (s.blocks - 1) * s.block):
            entries = table[:, :channels].reshape(-1)
            parts.append(entries[_last_again(len(entries), s.block * s.taps + s.tile_taps)])
        lists.append(np.concatenate(parts).astype(np.int64))
    return lists[0], lists[1]


def _pixel_lists(width: int, s: WeightGradientWork) -> tuple[Array, Array]:
    """The steps, from pixel to pixel of a band in the scratch and in gy transposed, and vectors."""
    t, q = np.ogrid[: s.band, : s.columns]
    steps = np.stack([t * width + q, (t * s.columns + q) * s.padded], -1).reshape(-1, 2)
    return steps.astype(np.int64), np.arange(s.padded // s.lanes) * s.lanes


def _power_of_two(most: int) -> int:
    """The largest one: units are easier to share evenly."""
    return 1 << (max(most, 1).bit_length() - 1)


def _on_image(axis: Axis) -> float:
    """The share of pairs of an output and a tap that meet on the image."""
    pixels = np.add.outer(
        np.arange(axis.outputs) * axis.stride - axis.pad, np.arange(axis.taps) * axis.dilation
    )
    return float(np.mean((pixels >= 0) & (pixels < axis.size))) if pixels.size else 1.0


def best_tile(taps: int, filters: int, lanes: int) -> tuple[int, int]:
    """The tile that wastes least, and the filters made up to whole tiles."""

    def cost(tile: int) -> tuple[float, int]:
        tile_taps, tile_vectors = TILES[tile]
        loads = tile_taps + tile_vectors + tile_taps * tile_vectors
        return ceil_div(taps, tile_taps) * ceil_div(filters, lanes * tile_vectors) * loads, tile

    tile = min(range(len(TILES)), key=cost)
    vector = lanes * TILES[tile][1]
    return tile, ceil_div(filters, vector) * vector
