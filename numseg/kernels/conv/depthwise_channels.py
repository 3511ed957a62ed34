"""Convolutions of one channel to a filter, whatever the taps, the strides and the dilations.

Rows of small images leave vectors of pixels half empty, and strides and dilations tear them apart.
Here the lanes are *channels*: a unit turns the planes of as many channels as a vector has into
pixels that are vectors of channels, with zeros beside each row where taps meet the padding::

    x[c, row, column]  -->  scratch[row, left + column, c]          squares turned in registers
                            out[t, q, c] = bias[c] + sum over i, j of w[c, i, j] * scratch[...]
    y[f, t, q]         <--  out[t, q, f]

So an output is one multiply-add a tap, whatever the taps, and a stride is a distance. Row taps that
miss the image are left out. The taps of an output are added in the micro-kernel's order, so the
bits are those of :mod:`numseg.kernels.conv.depthwise` and of :mod:`numseg.kernels.conv.direct`.

The gradient of the image is the same sum for each phase of pixels a stride apart
(:mod:`numseg.kernels.conv.phase_by_phase`), with all phases in one pass over gy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv import depthwise
from numseg.kernels.conv.channel_vectors import (
    add_vectors,
    gather_square,
    row_of,
    scatter_square,
)
from numseg.kernels.conv.epilogue import Epilogue, apply_epilogue
from numseg.kernels.conv.packing import SCRATCH_BYTES, memory_share, on_image
from numseg.kernels.conv.phase_by_phase import phase
from numseg.kernels.conv.problem import Axis, Correlation, Problem, WeightGradient
from numseg.kernels.machine.integers import ceil_div, multiples
from numseg.kernels.machine.jit import kernel, read_only, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.scratch import aligned, clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import clear_rows
from numseg.kernels.machine.work_units import ENOUGH_UNITS
from numseg.typing import Array

TILES = 8, 7, 4, 2, 1
"""Outputs of a row that are computed at once: 7 for the 7, 14, 28, ... columns of most networks."""

TILE_STEPS = 3
"""What a tile takes besides its outputs, in multiply-adds of each of its taps."""

ROOM = SCRATCH_BYTES // 2
"""Bytes of pixels and outputs of a band, unless one row takes more."""

GRADIENT_TILE = 9
"""Taps whose gradients are summed up at once."""

_row_8, _row_7, _row_4, _row_2, _row_1 = (row_of(tile, 1) for tile in TILES)
_second_8, _second_7, _second_4, _second_2, _second_1 = (row_of(tile, 2) for tile in TILES)
_any_8, _any_7, _any_4, _any_2, _any_1 = (row_of(tile, 0) for tile in TILES)
_sums = micro_kernel(GRADIENT_TILE, 1, across=True)


class ChannelWork(NamedTuple):
    """How the work is cut, and all else that the kernels know besides arrays and tables."""

    images: int
    channels: int  # a group each
    filters: int  # of a channel
    h: int
    w: int
    height: int  # of y
    columns: int
    taps: int  # of a filter
    stride: int  # of rows and columns, from an output of a phase to its next
    column_stride: int
    step: int  # of rows of y, from an output of a phase to its next
    column_step: int
    first: int  # row of x that the first output meets first
    extent: int  # rows that an output meets, with those between
    left: int  # columns of padding
    width: int  # of the scratch
    band: int  # rows of each phase
    bands: int
    lanes: int


@rule
def planes_of(planes, image, f0, filters, channels, plane):
    """Where the planes begin that some filters read, or are; the last again for what is beyond."""
    for lane in range(len(planes)):
        f = min(f0 + lane, filters * channels - 1)
        planes[lane] = (image * channels + f // filters) * plane


@rule
def pixel_places(s, rows):
    """Where in a scratch the pixels of some rows lie."""
    places = np.empty(rows * s.w, np.int64)
    for row in range(rows):
        for column in range(s.w):
            places[row * s.w + column] = (row * s.width + s.left + column) * s.lanes
    return places


@rule
def to_channels(x, planes, first, count, scratch, to, places, lanes):
    """``count`` numbers of each plane."""
    if count >= lanes:
        for p in range(0, count, lanes):
            at = min(p, count - lanes)  # the last square ends with them
            gather_square(x, planes, first + at, scratch, to, places, at)
    else:
        for lane in range(lanes):
            for p in range(count):
                scratch[to + places[p] + lane] = x[planes[lane] + first + p]


@rule
def from_channels(out, y, planes, to, count, lanes, filters):
    """The way back, of so many filters."""
    if count >= lanes:
        for p in range(0, count, lanes):
            at = min(p, count - lanes)
            scatter_square(out, at * lanes, y, planes, to + at, filters)
    else:
        for lane in range(filters):
            for p in range(count):
                y[planes[lane] + to + p] = out[p * lanes + lane]


@rule
def weight_panel(w, f0, filters, taps, panel, planes, places, lanes):
    """``panel[k, lane]``: the taps of some filters. A square may take what follows them."""
    for lane in range(lanes):
        planes[lane] = min(f0 + lane, filters - 1) * taps
    inside = taps >= lanes or planes[lanes - 1] + lanes <= len(w)
    count = max(taps, lanes) if inside else taps
    to_channels(w, planes, 0, count, panel, 0, places, lanes)


@rule
def four(line, at):
    return line[at], line[at + 1], line[at + 2], line[at + 3]


@rule
def compute_rows(scratch, panel, steps, ranges, phases, starts, out, t0, t1, r0, s):
    """Rows ``t0 <= t < t1`` of each phase; the scratch begins with row r0 of x."""
    z0 = t0 * s.step
    for number in range(len(phases)):
        z, rows, q, columns = four(phases[number], 0)
        tile, tap, column_taps, ranged = four(phases[number], 4)
        for t in range(t0, min(t1, rows)):
            k0 = tap + ranges[ranged + t, 0] * column_taps
            k1 = tap + ranges[ranged + t, 1] * column_taps
            x_at = (t * s.stride - r0) * s.width * s.lanes
            y_at = ((z + t * s.step - z0) * s.columns + q) * s.lanes
            for v in range(0, columns, tile):
                v = min(v, columns - tile)  # the last tile ends with the row
                run_tile(tile, s.column_stride, scratch, x_at + v * s.column_stride * s.lanes,
                         panel, steps, k0, k1, starts,
                         out, y_at + v * s.column_step * s.lanes,
                         s.column_step * s.lanes, s.lanes)  # fmt: skip


@rule
def run_tile(tile, stride, x, x_at, panel, steps, k0, k1, starts, y, y_at, y_step, lanes):
    x_step = stride * lanes
    if stride == 1:
        if tile == 8:
            _row_8(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
        elif tile == 7:
            _row_7(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
        elif tile == 4:
            _row_4(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
        elif tile == 2:
            _row_2(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
        else:
            _row_1(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
    elif stride == 2:
        if tile == 8:
            _second_8(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
        elif tile == 7:
            _second_7(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
        elif tile == 4:
            _second_4(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
        elif tile == 2:
            _second_2(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
        else:
            _second_1(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
    elif tile == 8:
        _any_8(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
    elif tile == 7:
        _any_7(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
    elif tile == 4:
        _any_4(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
    elif tile == 2:
        _any_2(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)
    else:
        _any_1(x, x_at, x_step, panel, steps, k0, k1, starts, y, y_at, y_step)


@kernel()
def _correlate(start, stop, x, w, bias, y, epilogue, phases, ranges, steps, s):
    """A unit is a band of a vector of filters, of an image."""
    s = as_fields(s, ChannelWork)
    most = min((s.band - 1) * s.stride + s.extent, s.h)
    scratch = aligned(np.empty((most * s.width + 1) * s.lanes, x.dtype))
    out = aligned(np.empty((s.band * s.step * s.columns + 1) * s.lanes, x.dtype))
    panel = aligned(np.empty((max(s.taps, s.lanes) + 1) * s.lanes, x.dtype))
    starts = np.empty(s.lanes, x.dtype)
    clear(scratch)  # the columns beside the image stay so
    places, tap_places = pixel_places(s, most), multiples(max(s.taps, s.lanes), s.lanes)
    planes, y_planes = np.empty(s.lanes, np.int64), np.empty(s.lanes, np.int64)
    filters, per_block = s.filters * s.channels, s.images * s.bands
    packed = -1
    for unit in range(start, stop):
        block, rest = divmod(unit, per_block)
        image, band = divmod(rest, s.bands)
        f0 = block * s.lanes
        count = min(s.lanes, filters - f0)
        if packed != block:
            weight_panel(w, f0, filters, s.taps, panel, planes, tap_places, s.lanes)
            for lane in range(s.lanes):
                starts[lane] = bias[min(f0 + lane, len(bias) - 1)]
            packed = block
        planes_of(planes, image, f0, s.filters, s.channels, s.h * s.w)
        planes_of(y_planes, image, f0, 1, filters, s.height * s.columns)
        t0 = band * s.band
        r0 = t0 * s.stride + s.first
        r1 = min(max(r0 + (s.band - 1) * s.stride + s.extent, 0), s.h)
        r0 = min(max(r0, 0), r1)
        to_channels(x, planes, r0 * s.w, (r1 - r0) * s.w, scratch, 0, places, s.lanes)
        compute_rows(read_only(scratch), read_only(panel), steps, ranges, phases, starts,
                     out, t0, t0 + s.band, r0, s)  # fmt: skip
        z0 = t0 * s.step
        size = (min(z0 + s.band * s.step, s.height) - z0) * s.columns
        from_channels(read_only(out), y, y_planes, z0 * s.columns, size, s.lanes, count)
        if epilogue is not None:
            at = y_planes[0] + z0 * s.columns
            apply_epilogue(y, at, size, at, count, epilogue)


@kernel()
def _grad_w(start, stop, x, gy, gw, offsets, s):
    """A unit is a vector of filters."""
    s = as_fields(s, ChannelWork)
    most = (s.band - 1) * s.stride + s.extent
    scratch = aligned(np.empty((most * s.width + 1) * s.lanes, x.dtype))
    grads = aligned(np.empty((s.band * s.columns + 1) * s.lanes, x.dtype))
    tile = np.empty(len(offsets) * s.lanes, x.dtype)
    total = np.empty_like(tile)
    clear(scratch)
    places, plain = pixel_places(s, most), multiples(s.band * s.columns, s.lanes)
    tile_places, zero = multiples(len(offsets), s.lanes), multiples(1, 0)
    steps = np.empty((s.band * s.columns, 2), np.int64)
    for t in range(s.band):
        for q in range(s.columns):
            steps[t * s.columns + q, 0] = (t * s.stride * s.width + q * s.column_stride) * s.lanes
            steps[t * s.columns + q, 1] = (t * s.columns + q) * s.lanes
    planes, y_planes = np.empty(s.lanes, np.int64), np.empty(s.lanes, np.int64)
    filters = s.filters * s.channels
    for unit in range(start, stop):
        f0 = unit * s.lanes
        clear(total)
        for cell in range(s.images * s.bands):
            image, band = divmod(cell, s.bands)
            planes_of(planes, image, f0, s.filters, s.channels, s.h * s.w)
            planes_of(y_planes, image, f0, 1, filters, s.height * s.columns)
            t0 = band * s.band
            height = min(s.band, s.height - t0)
            row = t0 * s.stride + s.first
            r0, r1 = on_image(row, 1, s.h, (height - 1) * s.stride + s.extent)
            line = s.width * s.lanes
            clear_rows(scratch, 0, 0, 1, r0 * line)
            to_channels(x, planes, (row + r0) * s.w, (r1 - r0) * s.w, scratch, r0 * line,
                        places, s.lanes)  # fmt: skip
            clear_rows(scratch, r1 * line, 0, 1, (most - r1) * line)
            size = height * s.columns
            to_channels(gy, y_planes, t0 * s.columns, size, grads, 0, plain, s.lanes)
            for k in range(0, len(offsets), GRADIENT_TILE):
                _sums(read_only(scratch), offsets, k, read_only(grads), zero, 0, steps, 0, size,
                      tile, tile_places, k, zero, 0, None)  # fmt: skip
            add_vectors(tile, total, len(offsets))
        for lane in range(min(s.lanes, filters - f0)):
            for k in range(s.taps):
                gw[(f0 + lane) * s.taps + k] = total[k * s.lanes + lane]


def suits(p: Problem) -> bool:
    """One channel to a filter, and filters enough for vectors."""
    return p.channels == 1 and p.taps > 1 and p.tile == 0 and _enough(p)


def suits_gradient(p: Problem) -> bool:
    """Of the image: of each channel one filter too, and of stride 1 no stencil is better."""
    return p.filters == 1 and suits(p) and not depthwise.suits(_transposed(p))


def suits_weights(p: Problem) -> bool:
    """Rows that are vectors of pixels are as quick to read as they are, but for strides."""
    rows = p.columns.outputs >= LONG_ROW * TARGET.vector_bytes // p.itemsize
    return suits(p) and not (rows and p.columns.stride == 1)


LONG_ROW = 3
"""Vectors."""


def _transposed(p: Problem) -> Problem:
    """The convolution that gives the gradient of the image, where its stride is 1."""
    rows, columns = (phase(axis, 0) if axis.stride == 1 else axis for axis in (p.rows, p.columns))
    return p._replace(rows=rows, columns=columns)


def _enough(p: Problem) -> bool:
    """Do filters fill most of their vectors?"""
    lanes, filters = TARGET.vector_bytes // p.itemsize, p.groups * p.filters
    return 2 * filters > lanes and ceil_div(filters, lanes) * lanes <= 1.5 * filters


def forward(p: Problem) -> Correlation:
    return _correlation(p, [p.rows], [p.columns])


def input_gradient(p: Problem) -> Correlation:
    """From gy to gx."""
    rows, columns = ([phase(axis, first) for first in range(min(axis.stride, axis.size))]
                     for axis in (p.rows, p.columns))  # fmt: skip
    turned = p._replace(rows=rows[0], columns=columns[0], height=p.rows.size, width=p.columns.size)
    return _correlation(turned, rows, columns)


def _correlation(p: Problem, rows: Sequence[Axis], columns: Sequence[Axis]) -> Correlation:
    """Phases of rows and of columns, which together fill y."""
    rows, columns = ([axis.met for axis in axes] for axes in (rows, columns))
    s = _work(p, rows, columns, p.height, p.width)
    phases, ranges, steps = _tables(p, rows, columns, s)
    filters = p.groups * p.filters
    no_bias = np.zeros(filters, f"f{p.itemsize}")
    no_bias.flags.writeable = False  # as a given one is, or the kernel would be compiled again
    units = ceil_div(filters, s.lanes) * s.images * s.bands
    outputs = p.images * filters * s.height * s.columns
    work = outputs * (p.taps + _TURNING) // s.lanes
    numbers = as_array(s)

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        start = no_bias if bias is None else bias.view()
        start.flags.writeable = False
        launch(_correlate, units, work, x.reshape(-1), w.reshape(-1), start, y.reshape(-1),
               epilogue, phases, ranges, steps, numbers)  # fmt: skip

    return run


_TURNING = 12
"""Multiply-adds that would take as long as to turn a number to and fro."""


def weight_gradient(p: Problem) -> WeightGradient:
    s = _work(p, [p.rows], [p.columns], p.rows.outputs, p.columns.outputs)
    i, j = np.ogrid[: p.rows.taps, : p.columns.taps]
    offsets = (i * p.rows.dilation * s.width + j * p.columns.dilation + _left(s, p)) * s.lanes
    last = np.minimum(np.arange(ceil_div(p.taps, GRADIENT_TILE) * GRADIENT_TILE), p.taps - 1)
    offsets = offsets.reshape(-1)[last].astype(np.int64)
    units = ceil_div(p.groups * p.filters, s.lanes)
    outputs = p.images * p.groups * p.filters * s.height * s.columns
    work = outputs * (p.taps + _TURNING) // s.lanes
    numbers = as_array(s)

    def run(x: Array, gy: Array, gw: Array) -> None:
        launch(_grad_w, units, work, x.reshape(-1), gy.reshape(-1), gw.reshape(-1), offsets,
               numbers)  # fmt: skip

    return run


def _left(s: ChannelWork, p: Problem) -> int:
    """The column of the scratch that the first tap of the first output meets."""
    return s.left - p.columns.pad


def _work(
    p: Problem, rows: Sequence[Axis], columns: Sequence[Axis], height: int, width: int
) -> ChannelWork:
    lanes = TARGET.vector_bytes // p.itemsize
    first, last = _reach(rows)
    before, after = _reach(columns)
    left = max(-before, 0)
    right = max((a.outputs - 1) * a.stride for a in columns) + after
    scratch_width = left + max(columns[0].size, right + 1)
    longest = max(axis.outputs for axis in rows)
    stride, step, extent = rows[0].stride, rows[0].step, last - first + 1
    vectors = ceil_div(p.groups * p.filters, lanes)
    band = _band(p, longest, stride * scratch_width, step * width, extent * scratch_width, vectors)
    return ChannelWork(
        p.images, p.groups, p.filters, rows[0].size, columns[0].size, height, width,
        p.kernel[0] * p.kernel[1], stride, columns[0].stride, step, columns[0].step,
        first, extent, left, scratch_width, band, ceil_div(longest, band), lanes,
    )  # fmt: skip


def _reach(axes: Sequence[Axis]) -> tuple[int, int]:
    """How far before and behind the first output's place taps are, of all phases."""
    met = [axis for axis in axes if axis.taps > 0]
    first = min((-axis.pad for axis in met), default=0)
    last = max(((a.taps - 1) * a.dilation - a.pad for a in met), default=0)
    return first, last


def _band(p: Problem, rows: int, row: int, out: int, extent: int, vectors: int) -> int:
    """How many rows of outputs a unit has: as many as there is room for, in bands of one size, and
    fewer where there would be too few units, but not so few that most of a scratch is filled
    again and again. The numbers are pixels: of a row, of its outputs, of what an output reads."""
    itemsize = p.itemsize
    pixel = TARGET.vector_bytes
    shapes = p.x_shape, p.y_shape
    x_bytes, y_bytes = (math.prod(shape) * itemsize for shape in shapes)
    share = memory_share(x_bytes, y_bytes, min(math.prod(shape[2:]) for shape in shapes))
    most = max((min(share, ROOM) // pixel - extent) // (row + out), 1)
    wanted = ceil_div(ENOUGH_UNITS, p.images * vectors)
    least = ceil_div(extent, row)
    bands = max(ceil_div(rows, most), min(wanted, rows // max(least, 1)), 1)
    return ceil_div(rows, bands)


def _tables(
    p: Problem, rows: Sequence[Axis], columns: Sequence[Axis], s: ChannelWork
) -> tuple[Array, Array, Array]:
    """For each phase: first row of y, rows, first column, columns, tile, first of its steps, taps
    of a row of taps, first of its ranges; the row taps (begin, end) of each row that meet the
    image; and steps: a weight, and the pixel that it meets from an output's place on."""
    phases, steps, tap = [], [], 0
    ranged = np.cumsum([0, *(axis.outputs for axis in rows)])
    for number, r in enumerate(rows):
        for c in columns:
            i, j = np.ogrid[: r.taps, : c.taps]
            weight = (r.tap_first + r.tap_step * i) * p.kernel[1] + c.tap_first + c.tap_step * j
            pixel = (i * r.dilation - r.pad) * s.width + s.left + j * c.dilation - c.pad
            steps.append(np.stack([weight, pixel], -1).reshape(-1, 2) * s.lanes)
            tile = _tile(c.outputs)
            phases.append((r.first, r.outputs, c.first, c.outputs, tile, tap, c.taps,
                           int(ranged[number])))  # fmt: skip
            tap += r.taps * c.taps
    tables = (
        np.array(phases, np.int64),
        np.concatenate([_taps_on_image(axis) for axis in rows]).astype(np.int64),
        np.concatenate(steps).astype(np.int64),
    )
    for table in tables:
        table.flags.writeable = False
    return tables


def _taps_on_image(axis: Axis) -> Array:
    """Of each output the first tap that meets the image, and one past the last."""
    top = np.arange(axis.outputs) * axis.stride - axis.pad
    begin = np.clip(-(top // axis.dilation), 0, axis.taps)
    end = np.clip(-((top - axis.size) // axis.dilation), begin, axis.taps)
    ranges: Array = np.stack([begin, end], -1)
    return ranges


def _tile(columns: int) -> int:
    fitting = [tile for tile in TILES if tile <= columns]
    return min(fitting, key=lambda tile: ceil_div(columns, tile) * (tile + TILE_STEPS))
