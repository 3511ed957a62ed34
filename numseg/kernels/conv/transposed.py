"""The transposed convolution with a stride, as in a decoder's 2x2 of stride 2.

    y[n, c, u s + a, v s + b] =
        sum over f, i, j of  x[n, f, u - i, v - j] * w[f, c, i s + a, j s + b]

The outputs of a *phase* (a, b) are a correlation of stride 1, so vectors are pixels of x, and the
rows of a tile are phases of channels of y. All phases of a few channels are computed for a run of
pixels, and joined into y while they are in the first-level cache.

Where the stride does not divide the kernel, phases that begin at the kernel's last taps have a tap
less than the others. Phases of as many taps form a *class*: four at most.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue
from numseg.kernels.conv.packing import (
    SCRATCH_BYTES,
    Layout,
    layout,
    memory_share,
    pack,
    scratch_for,
    tap_offsets,
)
from numseg.kernels.conv.problem import Axis, Correlation, Problem
from numseg.kernels.conv.stamp import Stamp, stamps
from numseg.kernels.machine.integers import ceil_div, multiples
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.scratch import aligned
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import copy_row, interleave_2, interleave_4, interleave_8
from numseg.kernels.machine.work_units import unevenness
from numseg.typing import Array

TILE = (8, 2) if TARGET.registers == 32 else (4, 3)
"""Phases x vectors of pixels."""

_tile = micro_kernel(*TILE)
_ROWS, _VECTORS = TILE


class TransposedWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides arrays and tables."""

    groups: int
    filters: int  # channels of x, in a group
    channels: int  # of y, in a group
    block: int  # channels that are joined at once
    chunk: int  # channels of a unit
    chunks: int
    row_blocks: int
    band: int
    bands: int
    packed: int  # weights of a group
    taps: int  # of a filter and channel
    run: int  # pixels of a tile
    lanes: int
    h: int  # of y
    w: int
    sy: int
    sx: int
    pt: int
    pl: int


class Tables(NamedTuple):
    """A row is a phase of a channel: by class, then by channel. Each class fills whole tiles."""

    w_rows: Array  # where a row's weights begin in a block of channels
    out_rows: Array  # where a row lies in the block that is joined
    w_steps: Array  # (classes' taps and filters): from there to the weight
    steps: Array  # (the same, 2): of the packed weight, and of the pixel it meets
    classes: Array
    """(classes, 5): first row, rows of a channel, first step, end of its steps, and where row 0
    would have its packed weights."""


@kernel()
def _pack_weights(start, stop, w, packed, w_rows, w_steps, classes, s):
    """The weights of a tile's rows side by side, step after step. A unit is a block of channels: a
    filter's weights for it lie together, but far from the next filter's."""
    s = as_fields(s, TransposedWork)
    blocks = (s.channels + s.block - 1) // s.block
    together = np.empty(s.filters * s.block * s.taps, w.dtype)
    for unit in range(start, stop):
        group, block = divmod(unit, blocks)
        c0 = block * s.block
        channels = min(s.block, s.channels - c0)
        for f in range(s.filters):
            first = ((group * s.filters + f) * s.channels + c0) * s.taps
            copy_row(w, first, together, f * s.block * s.taps, channels * s.taps)
        for q in range(len(classes)):
            steps = w_steps[classes[q, 2] : classes[q, 3]]
            begin = classes[q, 0] + c0 * classes[q, 1]
            for row in range(begin, begin + channels * classes[q, 1], _ROWS):
                rows = w_rows[row : row + _ROWS]
                first = group * s.packed + classes[q, 4] + row * len(steps)
                for k in range(len(steps)):
                    target = packed[first + k * _ROWS :]
                    for r in range(_ROWS):
                        target[r] = together[steps[k] + rows[r]]


@kernel()
def _transposed(start, stop, x, packed, y, out_rows, steps, classes, layout, s):
    """A unit is a band of blocks u, in a chunk of channels."""
    layout, s = as_fields(layout, Layout), as_fields(s, TransposedWork)
    scratch = scratch_for(layout, x)
    lines = s.block * s.sy
    phases = aligned(np.empty(lines * s.sx * s.run + s.lanes, x.dtype))
    joined = aligned(np.empty(len(phases), x.dtype))
    side_by_side, vectors = multiples(_ROWS, 1), multiples(_VECTORS, s.lanes)
    places = np.empty(_VECTORS, np.int64)
    filled = -1
    for unit in range(start, stop):
        cell, chunk = divmod(unit, s.chunks)
        image, band = divmod(cell, s.bands)  # of a group
        u0 = band * s.band
        height = min(s.band, s.row_blocks - u0)
        if filled != cell:
            here = x[image * s.filters * layout.h * layout.w :]
            pack(scratch, here, s.filters, 0, u0, layout)
            filled = cell
        for c0 in range(chunk * s.chunk, min((chunk + 1) * s.chunk, s.channels), s.block):
            channels = min(s.block, s.channels - c0)
            planes = y[(image * s.channels + c0) * s.h * s.w :]
            for p in range(0, height * layout.width, s.run):
                for v in range(_VECTORS):
                    places[v] = p + v * s.lanes
                for q in range(len(classes)):
                    k0, k1 = classes[q, 2], classes[q, 3]
                    first = classes[q, 0] + c0 * classes[q, 1]
                    for row in range(first, first + channels * classes[q, 1], _ROWS):
                        begin = image % s.groups * s.packed + classes[q, 4] + row * (k1 - k0)
                        weights = packed[begin:]
                        _tile(weights, side_by_side, 0, scratch, places, 0, steps, k0, k1,
                              phases, out_rows, row, vectors, 0, None)  # fmt: skip
                for line in range(channels * s.sy):
                    first = line * s.sx * s.run
                    interleave_phases(phases[first:], joined[first:], s)
                at = 0
                while at < s.run:
                    t, v = divmod(p + at, layout.width)
                    count = min(s.run - at, layout.width - v)
                    if t < height:
                        store_blocks(joined[at * s.sx :], planes, channels, u0 + t, v, count, s)
                    at += count


@rule
def interleave_phases(phases, joined, s):
    """The phases of a row of y, side by side."""
    for i in range(0, s.run, s.lanes):
        if s.sx == 2:
            interleave_2(phases, i, s.run, joined, i * 2)
        elif s.sx == 4:
            interleave_4(phases, i, s.run, joined, i * 4)
        elif s.sx == 8:
            interleave_8(phases, i, s.run, joined, i * 8)
        else:
            for b in range(s.sx):
                source, target = phases[b * s.run + i :], joined[i * s.sx + b :]
                for lane in range(s.lanes):
                    target[lane * s.sx] = source[lane]


@rule
def store_blocks(joined, planes, channels, u, v, count, s):
    """Of the blocks (u, v ...), what lies in y."""
    left = v * s.sx - s.pl
    begin, end = max(left, 0), min(left + count * s.sx, s.w)
    if begin >= end:
        return
    for c in range(channels):
        for a in range(max(s.pt - u * s.sy, 0), min(s.h + s.pt - u * s.sy, s.sy)):
            row = (c * s.h + u * s.sy + a - s.pt) * s.w
            first = (c * s.sy + a) * s.sx * s.run + begin - left
            copy_row(joined, first, planes, row + begin, end - begin)


def suits(p: Problem) -> bool:
    """Whether few phases of few channels waste less than a launch for each phase: not where sums
    are long, as those of a 7x7 of stride 2 to an image. And a block of phases is limited."""
    if (both := stamps(p)) is None:
        return False
    classes = len(_phases(both[0])) * len(_phases(both[1]))
    strides = p.rows.stride * p.columns.stride
    short = p.groups * p.filters * p.taps < 1024
    return strides <= 1024 and (short or 2 * strides * p.channels >= classes * _ROWS)


def input_gradient(p: Problem) -> Correlation:
    """Fill (N, C, H, W) from (N, F, h, w), and w, (F, C / groups, KH, KW)."""
    s, scratch, tables = _plan(p)
    blocks, size = p.groups * ceil_div(p.channels, s.block), p.groups * s.packed
    units = p.images * p.groups * s.bands * s.chunks
    work = p.images * p.groups * p.channels * s.h * s.w * len(tables.steps) // s.lanes

    numbers = as_array(scratch), as_array(s)

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        packed = np.empty(size, w.dtype)
        launch(_pack_weights, blocks, size, w.reshape(-1), packed, tables.w_rows, tables.w_steps,
               tables.classes, numbers[1])  # fmt: skip
        packed.flags.writeable = False
        launch(_transposed, units, work, x.reshape(-1), packed, y.reshape(-1), tables.out_rows,
               tables.steps, tables.classes, *numbers)  # fmt: skip

    return run


def _plan(p: Problem) -> tuple[TransposedWork, Layout, Tables]:
    """Cut the work into units, and tabulate the offsets."""
    images, groups, channels, filters, itemsize = *p[:4], p.itemsize
    both = stamps(p)
    assert both
    rows, columns = both
    lanes = TARGET.vector_bytes // itemsize
    run = _VECTORS * lanes
    classes = [(a, b) for a in _phases(rows) for b in _phases(columns)]
    rows_of_channel = [len(a) * len(b) for (a, _), (b, _) in classes]
    block = math.lcm(*(_ROWS // math.gcd(_ROWS, rows) for rows in rows_of_channel))
    row_axis, column_axis = _blocks(rows), _blocks(columns)
    blocks = ceil_div(channels, block)
    pixels, outputs = rows.size * columns.size, rows.outputs * columns.outputs
    planes = images * groups * itemsize
    share = memory_share(
        planes * filters * pixels, planes * channels * outputs, min(pixels, outputs)
    )
    share -= 2 * block * rows.stride * columns.stride * run * itemsize
    room = min(share, SCRATCH_BYTES)
    band, chunk = _cut(row_axis, column_axis, filters, blocks, run, itemsize, images * groups, room)
    scratch = layout(row_axis, column_axis, filters, band, itemsize)
    tables, packed = _tables(classes, rows, columns, filters, channels, block, run, scratch)
    s = TransposedWork(
        groups, filters, channels, block, chunk * block, ceil_div(blocks, chunk),
        row_axis.outputs, band, ceil_div(row_axis.outputs, band),
        packed,
        rows.taps * columns.taps, run, lanes,
        rows.outputs, columns.outputs, rows.stride, columns.stride,
        rows.pad % rows.stride, columns.pad % columns.stride,
    )  # fmt: skip
    return s, scratch, tables


def _phases(stamp: Stamp) -> list[tuple[range, int]]:
    """The phases of a class, and how many taps they have: the kernel ends within a block, or with
    one."""
    longest = stamp.taps - (stamp.overlap - 1) * stamp.stride
    both = (range(longest), stamp.overlap), (range(longest, stamp.stride), stamp.overlap - 1)
    return [(phases, taps) for phases, taps in both if phases]


def _blocks(stamp: Stamp) -> Axis:
    """The blocks that y has a part of, as outputs of a convolution of stride 1."""
    skipped = stamp.pad // stamp.stride
    return stamp.axis._replace(
        outputs=stamp.axis.outputs - skipped, pad=stamp.overlap - 1 - skipped
    )


def _cut(
    rows: Axis,
    columns: Axis,
    filters: int,
    blocks: int,
    run: int,
    itemsize: int,
    crowd: int,
    room: int,
) -> tuple[int, int]:
    """Rows of blocks u and blocks of channels in a unit: what costs least, in runs of pixels. The
    rows take at most ``room`` bytes, or else there is one."""
    one = layout(rows, columns, filters, 1, itemsize)
    most = room // max(filters * one.width * itemsize, 1) - (one.rows - 1)

    def cost(choice: tuple[int, int]) -> float:
        band, chunk = choice
        whole, rest = divmod(rows.outputs, band)
        runs = whole * ceil_div(band * one.width, run) + ceil_div(rest * one.width, run)
        bands, chunks = ceil_div(rows.outputs, band), ceil_div(blocks, chunk)
        filled = bands * chunks * (band + one.rows - 1) * one.width / run
        units = crowd * bands * chunks
        reading = bands * blocks / 3  # the weights, for a band
        return (runs * blocks + filled + reading) * unevenness(units)

    bands = range(1, max(min(most, rows.outputs), 1) + 1)
    return min(((band, ceil_div(blocks, chunks)) for band in bands for chunks in CHUNKS), key=cost)


CHUNKS = (1, 2, 4, 8)
"""Into how many the channels are cut: each fills a scratch."""


def _tables(
    classes: list[tuple[tuple[range, int], tuple[range, int]]], rows: Stamp, columns: Stamp,
    filters: int, channels: int, block: int, run: int, scratch: Layout,
) -> tuple[Tables, int]:  # fmt: skip
    """The tables, and how many packed weights a group has."""
    plane = rows.taps * columns.taps
    pixel = tap_offsets(scratch, _blocks(rows), _blocks(columns), filters)
    tables = []
    first = k = packed = 0
    for (row_phases, row_taps), (column_phases, column_taps) in classes:
        c, a, b = np.ix_(range(channels), row_phases, column_phases)
        w_row = (c % block * plane + a * columns.taps + b).reshape(-1)
        out_row = (((c % block * rows.stride + a) * columns.stride + b) * run).reshape(-1)
        last = np.minimum(np.arange(ceil_div(len(w_row), _ROWS) * _ROWS), len(w_row) - 1)
        # the first tap of a block is the pixel furthest back, which has the last weights
        i, f, j = np.ix_(
            range(row_taps - 1, -1, -1), range(filters), range(column_taps - 1, -1, -1)
        )
        w_step = f * block * plane + i * rows.stride * columns.taps + j * columns.stride
        here = pixel[rows.overlap - row_taps :, :, columns.overlap - column_taps :].reshape(-1)
        step = np.stack([np.arange(len(here)) * _ROWS, here], -1)
        ends, shift = (k, k + len(here)), packed - first * len(here)
        numbers = [[first, len(row_phases) * len(column_phases), *ends, shift]]
        tables.append((w_row[last], out_row[last], w_step.reshape(-1), step, numbers))
        first, k, packed = first + len(last), k + len(here), packed + len(last) * len(here)
    w_rows, out_rows, w_steps, steps, of_classes = (
        np.concatenate(of_class).astype(np.int64) for of_class in zip(*tables, strict=True)
    )
    # unsigned, so that an index that is their sum cannot count from the end
    unsigned = w_rows.astype(np.uint64), w_steps.astype(np.uint64)
    return Tables(unsigned[0], out_rows, unsigned[1], steps, of_classes), packed
