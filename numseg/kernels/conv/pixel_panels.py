"""The sums of :mod:`numseg.kernels.conv.direct`, by panels of pixels in the first-level cache.

    y[n, f, u, v] = bias[f] + sum over c, i, j of  w[f, c, i, j] * x[n, c, u at i, v at j]

Over there the micro-kernel reads vectors of pixels from a scratch in the second-level cache, again
for every few filters, and rows that end within a vector waste the rest of it. Here what a tile's
pixels meet at some steps (c, i, j) is first copied into a *panel*, which is small enough for the
first-level cache, and then meets all filters of a unit. Pixels are numbered through a plane of y,
so tiles go on from one row into the next, and only a plane's last one may be part of a tile. No
panel is filled for a tile whose vectors lie in rows, and their taps on the image, as nearly all do
where vectors divide rows: such a tile reads the scratch.

A unit owns the outputs of a run of pixels and a chunk of filters. It takes the channels block by
block; after the first, a tile goes on from the sums that y holds. Where a block of channels begins
is said by the numbers of channels and taps alone, so that the order of a sum, (block, i, c, j), is
the same for any cut, any number of threads, any target, and any size of the image: a tile of an
image gets the numbers of the whole. Where the rows that a tile meets are too long for the cache, a
unit has a band of columns, in which each row ends with a tile. Weights of a block lie side by side
in a filter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue, apply_epilogue
from numseg.kernels.conv.packing import (
    SCRATCH_BYTES,
    copy_strided_rows,
    on_image,
    phases,
    scratch_width,
)
from numseg.kernels.conv.problem import Axis, Correlation, Problem
from numseg.kernels.machine.integers import ceil_div, multiples
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.run import run as run_of
from numseg.kernels.machine.scratch import aligned, clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import copy_pieces, copy_row, copy_rows
from numseg.kernels.machine.work_units import ENOUGH_UNITS, unevenness
from numseg.typing import Array

ROWS, VECTORS = (8, 3) if TARGET.registers == 32 else (4, 3)
"""A tile: filters x vectors of pixels."""

LAST_ROWS = 8
"""Filters of a tile of one vector: fewer would wait for each other's multiply-adds."""

_three, _two, _one = micro_kernel(ROWS, 3), micro_kernel(ROWS, 2), micro_kernel(LAST_ROWS, 1)

DEPTH = 160
"""Steps of a block at most. A panel of so many takes half of the first-level cache and leaves room
for weights; with fewer, a tile would take up its sums from y more often."""

BLOCK_BYTES = 512 * 1024
"""There are bands of columns where so many bytes do not hold the rows that a tile meets, in
float64."""

FEWEST_FILTERS = 32
"""In a group, or half as many for a 1 x 1 kernel: for fewer, panels are not worth filling."""


class PanelWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides arrays and tables."""

    groups: int
    channels: int  # of x, in a group
    filters: int  # channels of y, in a group
    weights: int  # from a group to the next
    pixels: int  # of a plane of y
    taps: int  # of a channel
    block: int  # channels of a panel
    run: int  # pixels from a unit to the next: whole rows, where there are several bands
    runs: int
    band: int  # columns of y in a band
    bands: int
    chunk: int  # filters of a unit
    chunks: int
    lanes: int
    tile: int  # pixels
    as_is: bool  # lines of a panel are runs of the image: one tap, no stride, no padding


class Source(NamedTuple):
    """Which pixels outputs meet, and the scratch in which their rows lie, padded."""

    h: int
    w: int
    columns: int  # of y
    row_taps: int
    column_taps: int
    row_stride: int
    row_dilation: int
    row_pad: int
    column_stride: int
    column_dilation: int
    column_pad: int
    # the scratch: (channels, column phases, rows, width)
    row_step: int  # of the image, from one row of the scratch to the next
    column_phases: int
    rows: int  # the last one is zeros
    width: int
    channel: int  # from a channel to the next


@kernel()
def _correlate(
    start, stop, x, w, bias, y, epilogue, filters, panel_steps, scratch_steps, columns, source, s
):  # fmt: skip
    source, s = as_fields(source, Source), as_fields(s, PanelWork)
    w_rows, y_rows = filters[0], filters[1]
    panel = aligned(np.empty(s.block * s.taps * s.tile + 2 * s.lanes, x.dtype))
    clear(panel)
    scratch = np.empty(0 if s.as_is else s.block * source.channel + 2 * s.tile, x.dtype)
    clear(scratch)
    part = aligned(np.empty(LAST_ROWS * s.tile + s.lanes, x.dtype))
    part_rows, vectors = multiples(LAST_ROWS, s.tile), multiples(VECTORS, s.lanes)
    pieces = np.empty((2, s.tile), np.int64)
    y_vectors, in_scratch = np.empty(VECTORS, np.int64), np.empty(VECTORS, np.int64)
    plane = source.h * source.w
    for unit in range(start, stop):
        rest, chunk = divmod(unit, s.chunks)
        image, rest = divmod(rest, s.bands * s.runs)  # of a group
        band, run = divmod(rest, s.runs)
        group, left = image % s.groups, band * s.band
        first, length, lines = run * s.run + left, min(s.run, s.pixels - run * s.run), 1
        if s.bands > 1:
            lines = length // source.columns
            length = min(s.band, source.columns - left)
            clear(scratch)  # where another band had pixels, this one may have padding
        last = first + (lines - 1) * source.columns + length
        f0, f1 = chunk * s.chunk, min((chunk + 1) * s.chunk, s.filters)
        out = y[image * s.filters * s.pixels :]
        weights, start_row = w[group * s.weights :], bias[group * len(w_rows) :]
        for c0 in range(0, s.channels, s.block):
            channels = min(s.block, s.channels - c0)
            here = x[(image * s.channels + c0) * plane :]
            top = top_row(first, source)
            if not s.as_is:
                pack(scratch, here, channels, top, bottom_row(last - 1, source), left, source)
            for tile in range(lines * tiles_of(length, s)):
                line, tile = divmod(tile, tiles_of(length, s))
                p = first + line * source.columns + tile * s.tile
                count = min(s.tile, length - tile * s.tile)
                i, end = taps_on_image(p, p + count - 1, source)
                pixels, x_vectors, steps = panel, vectors, panel_steps
                if s.as_is:
                    copy_rows(here, p, plane, panel, 0, s.tile, channels, count)
                elif count == s.tile and in_rows(p, i, end, top, left, s.lanes, source, in_scratch):
                    pixels, x_vectors, steps = scratch, in_scratch, scratch_steps
                else:
                    fill(panel, scratch, channels, i, end, p, count, top, left, pieces, columns,
                         s.lanes, s.tile, source)  # fmt: skip
                k0 = c0 * s.taps + i * channels * source.column_taps
                k1 = c0 * s.taps + end * channels * source.column_taps
                for v in range(VECTORS):
                    y_vectors[v] = p + v * s.lanes
                if count < s.tile:
                    last_tile(weights, w_rows, f0, f1, panel, vectors, steps, k0, k1,
                              out, p, count, part, part_rows, start_row, c0 == 0, s)  # fmt: skip
                elif c0 == 0:
                    for f in range(f0, f1, ROWS):
                        _three(weights, w_rows, f, pixels, x_vectors, 0, steps, k0, k1,
                               out, y_rows, f, y_vectors, 0, start_row)  # fmt: skip
                else:
                    for f in range(f0, f1, ROWS):
                        _three(weights, w_rows, f, pixels, x_vectors, 0, steps, k0, k1,
                               out, y_rows, f, y_vectors, 0, True)  # fmt: skip
        if epilogue is not None:
            for line in range(lines):
                at = f0 * s.pixels + first + line * source.columns
                begin = image * s.filters * s.pixels + at
                apply_epilogue(out, at, length, begin, f1 - f0, epilogue)


@rule
def tiles_of(length, s):
    """Of so many pixels in a line."""
    return (length + s.tile - 1) // s.tile


@rule
def last_tile(
    w, w_rows, f0, f1, panel, vectors, steps, k0, k1, out, p, count, part, part_rows, bias,
    begins, s,
):  # fmt: skip
    """The pixels at the end of a plane, of which there are less than a tile: their sums lie in
    ``part`` while they are computed, as a tile would write what comes after them too."""
    needed = (count + s.lanes - 1) // s.lanes
    rows = LAST_ROWS if needed == 1 else ROWS
    for f in range(f0, f1, rows):
        for r in range(rows):
            row = min(f + r, s.filters - 1)
            if begins:
                line, first = run_of(part, r * s.tile, needed * s.lanes), bias[row]
                for v in range(len(line)):
                    line[v] = first
            else:
                copy_row(out, row * s.pixels + p, part, r * s.tile, count)
        if needed == 1:
            _one(w, w_rows, f, panel, vectors, 0, steps, k0, k1, part, part_rows, 0, vectors, 0,
                 True)  # fmt: skip
        elif needed == 2:
            _two(w, w_rows, f, panel, vectors, 0, steps, k0, k1, part, part_rows, 0, vectors, 0,
                 True)  # fmt: skip
        else:
            _three(w, w_rows, f, panel, vectors, 0, steps, k0, k1, part, part_rows, 0, vectors, 0,
                   True)  # fmt: skip
        for r in range(min(rows, f1 - f)):
            copy_row(part, r * s.tile, out, (f + r) * s.pixels + p, count)


@rule
def taps_on_image(first, last, source):
    """The row taps (begin, end) that meet the image for some of the pixels ``first`` to ``last`` of
    y: the others would only add zeros."""
    stride, dilation, pad = source.row_stride, source.row_dilation, source.row_pad
    row = last // source.columns * stride - pad
    begin = min(max((dilation - 1 - row) // dilation, 0), source.row_taps)
    row = first // source.columns * stride - pad
    end = (source.h + dilation - 1 - row) // dilation
    return begin, min(max(end, begin), source.row_taps)


@rule
def top_row(p, source):
    """The first row of the image that a pixel's taps may meet: the scratch begins with it."""
    row = p // source.columns * source.row_stride - source.row_pad
    if row < 0:
        row += (source.row_step - 1 - row) // source.row_step * source.row_step
    return row


@rule
def bottom_row(p, source):
    """The last one."""
    row = p // source.columns * source.row_stride - source.row_pad
    return min(row + (source.row_taps - 1) * source.row_dilation, source.h - 1)


@rule
def pack(scratch, x, channels, top, bottom, left, source):
    """Copy rows of the image to the scratch, whose columns of padding stay zero: what the columns
    of y from ``left`` on meet. Pixels that a stride takes apart are brought side by side: each
    phase of columns lies by itself."""
    stride, plane = source.column_stride, source.h * source.w
    rows = max((bottom - top + source.row_step) // source.row_step, 0)
    for phase in range(source.column_phases):
        column = left * stride + phase * source.column_dilation % stride - source.column_pad
        a, b = on_image(column, stride, source.w, source.width)
        for c in range(channels):
            first = c * plane + top * source.w + column + a * stride
            to = c * source.channel + phase * source.rows * source.width + a
            copy_strided_rows(stride, x, first, source.row_step * source.w, scratch, to,
                              source.width, rows, b - a)  # fmt: skip


@rule
def in_rows(p, i0, i1, top, left, lanes, source, places):
    """Does each vector of a tile lie in a row, and do its taps in rows ``i0`` to ``i1`` lie on the
    image? Then ``places`` are those of its first pixels in the scratch."""
    for v in range(len(places)):
        t, q = divmod(p + v * lanes, source.columns)
        row = t * source.row_stride - source.row_pad
        first, last = row + i0 * source.row_dilation, row + (i1 - 1) * source.row_dilation
        if q + lanes > source.columns or first < 0 or last >= source.h:
            return False
        places[v] = (row - top) // source.row_step * source.width + q - left
    return True


@rule
def fill(
    panel, scratch, channels, i0, i1, p, count, top, left, pieces, columns, lanes, tile, source
):  # fmt: skip
    """What so many pixels of y from p on meet at the rows ``i0`` to ``i1`` of taps."""
    starts, places = pieces[0], pieces[1]
    for i in range(i0, i1):
        number = done = 0
        while done < count:
            t, q = divmod(p + done, source.columns)
            length = min(count - done, source.columns - q)
            row = t * source.row_stride + i * source.row_dilation - source.row_pad
            line = source.rows - 1
            if 0 <= row < source.h:
                line = (row - top) // source.row_step
            for v in range(0, length, lanes):
                starts[number], places[number] = line * source.width + q - left + v, done + v
                number += 1
            done += length
        to = i * channels * source.column_taps * tile
        copy_pieces(scratch, 0, source.channel, channels, starts, columns, panel, to, tile, places,
                    number)  # fmt: skip


def suits(p: Problem) -> bool:
    """All of y, with filters enough to be worth filling panels, and taps that a panel can hold."""
    all_of_y = p.rows.step == p.columns.step == 1 and p.rows.outputs == p.height
    enough = p.filters >= FEWEST_FILTERS // (2 if p.taps == 1 else 1)
    return all_of_y and p.columns.outputs == p.width and enough and 0 < p.taps <= DEPTH


def forward(p: Problem) -> Correlation:
    s, source, tables = _plan(p)
    filter_or_last = np.minimum(np.arange(tables[0].shape[1]), p.filters - 1)
    padded = (np.arange(p.groups)[:, None] * p.filters + filter_or_last).reshape(-1)
    whole = len(padded) == p.groups * p.filters
    no_bias = np.zeros(len(padded), f"f{p.itemsize}")
    no_bias.flags.writeable = False  # as a given one is, or the kernel would be compiled again
    units = p.images * p.groups * s.bands * s.runs * s.chunks
    work = p.images * p.groups * p.filters * s.pixels * len(tables[1]) // s.lanes
    numbers = as_array(source), as_array(s)

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        start = no_bias
        if bias is not None:
            start = bias.view() if whole else bias[padded]
            start.flags.writeable = False
        launch(_correlate, units, work, x.reshape(-1), w.reshape(-1), start, y.reshape(-1),
               epilogue, *tables, *numbers)  # fmt: skip

    return run


def _plan(p: Problem) -> tuple[PanelWork, Source, tuple[Array, ...]]:
    """Cut the work into units, and tabulate the offsets."""
    rows, columns, as_is = p.rows, p.columns, is_product(p)
    if as_is:  # a plane is one row
        rows, columns = (
            axis._replace(size=size, outputs=size)
            for axis, size in ((rows, 1), (columns, rows.size * columns.size))
        )
    lanes = TARGET.vector_bytes // p.itemsize
    tile, pixels = VECTORS * lanes, rows.outputs * columns.outputs
    channels = max(p.channels, 1)
    block = ceil_div(channels, ceil_div(channels, min(DEPTH // p.taps, channels)))
    band = columns.outputs if as_is else _band(rows, columns, block, tile)
    run, chunk = _cut(p, rows, columns._replace(outputs=band), block, tile, as_is)
    source = _source(rows, columns, band, run)
    if band < columns.outputs:
        run = max(run // band, 1) * columns.outputs
        source = _source(rows, columns, band, run // columns.outputs * band)
    s = PanelWork(
        p.groups, p.channels, p.filters, p.filters * p.filter_weights, pixels, p.taps, block,
        run, ceil_div(pixels, run), band, ceil_div(columns.outputs, band), chunk,
        ceil_div(p.filters, chunk), lanes, tile, as_is,
    )  # fmt: skip
    filter_or_last = np.arange(ceil_div(p.filters, LAST_ROWS) * LAST_ROWS).clip(max=p.filters - 1)
    offsets = p.weight_offsets()
    blocks = [offsets[:, c : c + block].reshape(-1) for c in range(0, p.channels, block)]
    places = [np.arange(len(weights)) * tile for weights in blocks]
    j = np.arange(columns.taps)
    of_taps = j % source.column_phases * source.rows * source.width
    of_taps += j * columns.dilation // columns.stride
    # in a panel, steps are numbered from the first of the block, as channels are in the scratch
    i, c = np.arange(rows.taps)[:, None, None], np.arange(p.channels)[:, None] % block
    in_scratch = i * rows.dilation // source.row_step * source.width + c * source.channel + of_taps
    in_blocks = [in_scratch[:, c : c + block].reshape(-1) for c in range(0, p.channels, block)]
    steps = [
        np.stack([np.concatenate(blocks), np.concatenate(x)], -1).astype(np.int64)
        for x in (places, in_blocks)
    ]
    filters = np.stack([filter_or_last * p.filter_weights, filter_or_last * pixels])
    return s, source, (filters, *steps, of_taps)


def is_product(p: Problem) -> bool:
    """With one tap, and output u on pixel u, rows do not matter."""
    return p.taps == 1 and all(
        axis.stride == 1 and axis.pad == 0 and axis.size == axis.outputs
        for axis in (p.rows, p.columns)
    )


def _band(rows: Axis, columns: Axis, block: int, tile: int) -> int:
    """Columns of y in a band: all of them, if there is room for the rows that a tile meets."""

    def fits(band: int) -> bool:
        return block * _source(rows, columns, band, 1).channel * 8 <= BLOCK_BYTES

    if fits(columns.outputs):
        return columns.outputs
    bands = range(ceil_div(columns.outputs, tile) * tile, tile, -tile)
    return min(next(filter(fits, bands), tile), columns.outputs)


def _source(rows: Axis, columns: Axis, band: int, run: int) -> Source:
    """The scratch for so many pixels of a band, which may begin in the middle of a row."""
    step = rows.stride if rows.taps == 1 else math.gcd(rows.stride, rows.dilation)
    reach = min(ceil_div(run - 1, band), rows.outputs - 1) * rows.stride
    reach += (rows.taps - 1) * rows.dilation
    height = min(reach // step + 1, ceil_div(rows.size, step)) + 1
    width = scratch_width(columns._replace(outputs=band))
    channel = phases(columns) * height * width
    if channel % 512 == 0:
        channel += 16  # or all channels would meet in a few sets of the cache
    return Source(
        rows.size, columns.size, columns.outputs, rows.taps, columns.taps,
        rows.stride, rows.dilation, rows.pad, columns.stride, columns.dilation, columns.pad,
        step, phases(columns), height, width, channel,
    )  # fmt: skip


def _cut(
    p: Problem, rows: Axis, columns: Axis, block: int, tile: int, as_is: bool
) -> tuple[int, int]:
    """The pixels and the filters of a unit: what costs least, in cycles of multiply-adds."""
    tiles, sums = ceil_div(rows.outputs * columns.outputs, tile), ROWS * VECTORS / 2
    crowd = p.images * p.groups

    def cost(run: int, chunk: int) -> float:
        chunks = ceil_div(p.filters, chunk)
        units = crowd * ceil_div(tiles, run) * chunks
        products = crowd * tiles * ceil_div(p.filters, ROWS) * sums
        filling = crowd * tiles * chunks * FILLING
        return (products + filling + units * chunk * FETCHING) * unevenness(units)

    def choices() -> Iterator[tuple[float, int, int]]:
        for runs in range(1, min(tiles, MOST_RUNS) + 1):
            run = ceil_div(tiles, runs)
            scratch = block * _source(rows, columns, columns.outputs, run * tile).channel
            scratch = 0 if as_is else scratch
            for chunks in range(1, max(p.filters // CHUNK, 1) + 1):
                chunk = ceil_div(ceil_div(p.filters, chunks), LAST_ROWS) * LAST_ROWS
                held = chunk * (run * tile + block * p.taps) + scratch  # y and weights, and x
                room = held * p.itemsize <= SCRATCH_BYTES
                yield cost(run, chunk) * (1 if room else 2), run * tile, chunk

    return min(choices())[1:]


CHUNK = 64
"""Filters of a unit at least, if there are so many: each unit fills its own panels."""

MOST_RUNS = 4 * ENOUGH_UNITS

FILLING = 12
"""Cycles that a tile takes to copy what it meets at a step."""

FETCHING = 0.6
"""Cycles that a weight takes from beyond the second-level cache."""
