"""The gradient of a convolution with respect to its weights, where groups have few filters.

The vectors of :mod:`numseg.kernels.conv.weight_gradient` are filters, and most of their lanes would
be empty. Here the lanes are pixels of a row, of x and of gy alike, so that gy is read where it
lies; each lane is a sum of its own, and they are added up in the end. A row that is not whole
vectors ends with one that overlaps its neighbour, read from a copy of gy without what the neighbour
has.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.packing import (
    SCRATCH_BYTES,
    Layout,
    layout,
    memory_share,
    pack,
    residue_classes,
    scratch_for,
    tap_offsets,
)
from numseg.kernels.conv.problem import Problem, WeightGradient
from numseg.kernels.machine.integers import ceil_div, fill_multiples, multiples
from numseg.kernels.machine.jit import kernel, read_only, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.scratch import clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

TILES = ((9, 1), (6, 4)) if TARGET.registers == 32 else ((9, 1), (4, 2))
"""Taps x filters."""

_single, _several = (micro_kernel(*tile, across=True) for tile in TILES)

MOST_TAPS = 256
"""Of a group: each has a vector of sums for each filter of a tile."""

FEWEST_UNITS = 8
"""There are no slices over images, so a unit must not be all there is."""


class FewFiltersWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides arrays and tables."""

    images: int
    groups: int
    channels: int  # of x, in a group
    filters: int  # channels of gy, in a group
    taps: int  # of a filter, all channels
    rows: int
    columns: int
    band: int
    bands: int
    tile: int  # which of TILES
    tile_taps: int
    tile_filters: int
    lanes: int


@kernel()
def _sums(start, stop, x, gy, gw, taps, layout, s):
    """A unit is the filters of a tile."""
    layout, s = as_fields(layout, Layout), as_fields(s, FewFiltersWork)
    scratch = scratch_for(layout, x)
    whole, rest = s.columns // s.lanes, s.columns % s.lanes
    steps = np.empty((s.band * whole, 2), np.int64)
    tail_steps = np.empty((s.band, 2), np.int64)
    for t in range(s.band):
        for v in range(whole):
            steps[t * whole + v, 0] = t * layout.width + v * s.lanes
            steps[t * whole + v, 1] = t * layout.residues * s.columns + v * s.lanes
        tail_steps[t, 0] = t * layout.width + s.columns - s.lanes
        tail_steps[t, 1] = t * s.lanes
    tails = np.empty(s.tile_filters * s.band * s.lanes, x.dtype)
    clear(tails)
    ends = read_only(tails)  # as gy is
    planes = np.empty(s.tile_filters, np.int64)
    tail_planes = multiples(s.tile_filters, s.band * s.lanes)
    sums = np.empty(len(taps) * s.tile_filters * s.lanes, x.dtype)
    rows = multiples(len(taps), s.tile_filters * s.lanes)
    columns = multiples(s.tile_filters, s.lanes)
    blocks = (s.filters + s.tile_filters - 1) // s.tile_filters
    for unit in range(start, stop):
        group, block = divmod(unit, blocks)
        f0 = block * s.tile_filters
        filters = min(s.tile_filters, s.filters - f0)
        fill_multiples(planes, filters, s.rows * s.columns)
        clear(sums)
        for cell in range(s.images * layout.residues * s.bands):
            cut, band = divmod(cell, s.bands)
            image, residue = divmod(cut, layout.residues)
            t0 = band * s.band
            height = min(s.band, (s.rows - residue + layout.residues - 1) // layout.residues - t0)
            if height <= 0:
                continue
            plane = image * s.groups + group
            here = x[plane * s.channels * layout.h * layout.w :]
            pack(scratch, here, s.channels, residue, t0, layout)
            top = (plane * s.filters + f0) * s.rows + residue + t0 * layout.residues
            grads = gy[top * s.columns :]
            if rest > 0:
                pack_tails(grads, planes, tails, height, rest, layout, s)
            for i in range(0, len(taps), s.tile_taps):
                run_tile(s.tile, scratch, taps, i, grads, planes, steps, height * whole,
                         sums, rows, columns)  # fmt: skip
                if rest > 0:
                    run_tile(s.tile, scratch, taps, i, ends, tail_planes, tail_steps, height,
                             sums, rows, columns)  # fmt: skip
        for f in range(filters):
            first = (group * s.filters + f0 + f) * s.taps
            for i in range(s.taps):
                lanes = (i * s.tile_filters + f) * s.lanes
                total = gw.dtype.type(0)
                for lane in range(s.lanes):
                    total += sums[lanes + lane]
                gw[first + i] = total


@rule
def pack_tails(grads, planes, tails, height, rest, layout, s):
    """The ends of rows, behind zeros."""
    for f in range(len(planes)):
        for t in range(height):
            end = planes[f] + t * layout.residues * s.columns + s.columns
            to = (f * s.band + t + 1) * s.lanes
            for i in range(rest):
                tails[to - rest + i] = grads[end - rest + i]


@rule
def run_tile(tile, x, taps, i, gy, planes, steps, k1, sums, rows, columns):
    if tile == 0:
        _single(x, taps, i, gy, planes, 0, steps, 0, k1, sums, rows, i, columns, 0, True)
    else:
        _several(x, taps, i, gy, planes, 0, steps, 0, k1, sums, rows, i, columns, 0, True)


def suits(p: Problem) -> bool:
    """Few filters would leave most lanes of a vector of filters empty, and rows have vectors."""
    lanes = TARGET.vector_bytes // p.itemsize
    if p.columns.outputs < lanes:
        return False
    if p.channels == 1:
        return 4 * p.filters <= lanes
    units = p.groups * ceil_div(p.filters, TILES[1][1])
    few = 1 < p.filters <= lanes // 2 and units >= FEWEST_UNITS
    return few and p.channels * p.taps <= MOST_TAPS


def weight_gradient(p: Problem) -> WeightGradient:
    s, scratch, taps = _plan(p)
    units = p.groups * ceil_div(s.filters, s.tile_filters)
    work = p.groups * s.filters * s.taps * s.images * s.rows * s.columns // s.lanes

    numbers = as_array(scratch), as_array(s)

    def run(x: Array, gy: Array, gw: Array) -> None:
        launch(_sums, units, work, x.reshape(-1), gy.reshape(-1), gw.reshape(-1), taps,
               *numbers)  # fmt: skip

    return run


def _plan(p: Problem) -> tuple[FewFiltersWork, Layout, Array]:
    """Cut the work into units, and tabulate the offsets."""
    images, groups, channels, filters, rows, columns = p[:6]
    itemsize = p.itemsize
    tile = int(channels > 1)
    tile_taps, tile_filters = TILES[tile]
    taps = channels * p.taps

    one_row = layout(rows, columns, channels, 1, itemsize)
    row_bytes = max(channels * one_row.channel // one_row.rows * itemsize, 1)
    longest = ceil_div(rows.outputs, residue_classes(rows))
    y_size = math.prod(p.y_shape)
    pixels = min(rows.size * columns.size, rows.outputs * columns.outputs)
    room = memory_share((math.prod(p.x_shape) + y_size) * itemsize, 0, pixels)
    most = min(room, SCRATCH_BYTES) // row_bytes - (one_row.rows - 1)
    bands = ceil_div(longest, max(min(most, longest), 1))
    band = ceil_div(longest, max(bands, 1))

    scratch = layout(rows, columns, channels, band, itemsize)
    offsets = tap_offsets(scratch, rows, columns, channels).swapaxes(0, 1).reshape(-1)
    last = np.minimum(np.arange(ceil_div(taps, tile_taps) * tile_taps), taps - 1)
    s = FewFiltersWork(
        images, groups, channels, filters, taps, rows.outputs, columns.outputs, band, bands,
        tile, tile_taps, tile_filters, TARGET.vector_bytes // itemsize,
    )  # fmt: skip
    return s, scratch, offsets[last].astype(np.int64)
