"""grid_sample on the CPU.

The image is brought into an order in which a pixel's channels lie side by side, with zeros around
it: then a sample is a weighted sum of runs of channels, wherever it lies, and what lies outside is
zero. A unit is a block of output pixels, whose places and weights are worked out for all channels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.scratch import clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.kernels.sampling.tap_grids import BLOCK, sampler, scatterer, slopes_of
from numseg.ops.grid_sample.geometry import Geometry
from numseg.ops.grid_sample.rules import part_of_loop, settled, spread, tap, tap_slope
from numseg.typing import Array

TAPS = (2, 1, 4)
"""Pixels along one axis that a sample of each of MODES reads."""

CHANNELS = 16
"""Of a gradient's unit, at most."""

_sample2, _sample1, _sample4 = map(sampler, TAPS)
_scatter2, _scatter1, _scatter4 = map(scatterer, TAPS)
_slopes2, _slopes4 = slopes_of(2), slopes_of(4)


class Layout(NamedTuple):
    """How images lie in memory."""

    channels: int
    """Of a pixel, made up to fours."""
    group: int
    """Of those, in an image of gradients."""
    before: int
    """Rows and columns of zeros before the image."""
    rows: int
    columns: int
    """With the zeros."""
    blocks: int
    """Of an image's output pixels."""
    taps: int
    lanes: int


class Tables(NamedTuple):
    """Of a block's samples: their rows and columns of pixels, weights and slopes."""

    rows: Array
    columns: Array
    by_row: Array
    by_column: Array
    row_slope: Array
    column_slope: Array
    place: Array
    """Of each sample along an axis, before it is spread over pixels."""
    slope: Array


@rule
def _tables(image, taps):
    size = BLOCK * taps
    places, numbers = np.empty((2, size), np.int32), np.empty((4, size), image.dtype)
    along = np.empty((2, BLOCK))
    return Tables(places[0], places[1], numbers[0], numbers[1], numbers[2], numbers[3], along[0],
                  along[1])  # fmt: skip


@rule
def _along(grid, first, count, size, pixels, weights, slopes, t, g, s):
    """Along one axis."""
    for padding in range(3):  # a loop of its own for each: LLVM makes vectors of it
        if padding == (0 if g.mode == 2 else g.padding):
            _settle(grid, first, count, size, t, padding, g)
    if g.mode == 0:
        _spread(count, size, pixels, weights, slopes, t, 0, 2, g, s)
    elif g.mode == 1:
        _spread(count, size, pixels, weights, slopes, t, 1, 1, g, s)
    else:
        _spread(count, size, pixels, weights, slopes, t, 2, 4, g, s)


@part_of_loop
def _settle(grid, first, count, size, t, padding, g):
    place, slope, here = t.place[:count], t.slope[:count], grid[first:]
    for p in range(count):
        place[p], slope[p] = settled(np.float64(here[2 * p]), size, g.mode, padding, g.align)


@part_of_loop
def _spread(count, size, pixels, weights, slopes, t, mode, taps, g, s):
    number = weights.dtype.type
    place, slope = t.place[:count], t.slope[:count]
    for k in range(taps):
        first, end = k * BLOCK, k * BLOCK + count
        number_of, weight, by_place = pixels[first:end], weights[first:end], slopes[first:end]
        for p in range(count):
            low, part, whole = spread(place[p], size, mode, g.padding, g.align)
            pixel, share = tap(k, low, part, whole, size, mode, g.padding, g.align)
            number_of[p] = pixel + s.before
            weight[p] = number(share)
            by_place[p] = number(tap_slope(k, part, whole * slope[p], mode))


@rule
def _fill(grid, n, p0, count, t, g, s):
    first = 2 * (n * g.oh * g.ow + p0)
    _along(grid, first + 1, count, g.h, t.rows, t.by_row, t.row_slope, t, g, s)
    _along(grid, first, count, g.w, t.columns, t.by_column, t.column_slope, t, g, s)


@kernel()
def _to_image(start, stop, x, image, g, s):
    """A unit is a row of an image with its zeros."""
    length = s.columns * s.channels
    for unit in range(start, stop):
        n, row = divmod(unit, s.rows)
        line = image[unit * length : (unit + 1) * length]
        clear(line)
        if s.before <= row < s.before + g.h:
            first = (n * g.c * g.h + row - s.before) * g.w
            transpose(x[first:], g.h * g.w, g.c, g.w, line[s.before * s.channels :], s.channels,
                      s.lanes)  # fmt: skip


@rule
def _to_planes(panel, count, y, g, s):
    if g.c >= s.lanes:
        transpose(panel, s.channels, count, g.c, y, g.oh * g.ow, s.lanes)
        return
    for c in range(g.c):
        out, line = y[c * g.oh * g.ow :], panel[c:]
        for p in range(count):
            out[p] = line[p * s.channels]


@kernel()
def _forward(start, stop, image, grid, y, g, s):
    t = _tables(image, s.taps)
    panel = np.empty(BLOCK * s.channels, image.dtype)
    row_step = s.columns * s.channels
    plane = s.rows * row_step
    for unit in range(start, stop):
        n, block = divmod(unit, s.blocks)
        p0 = block * BLOCK
        count = min(BLOCK, g.oh * g.ow - p0)
        _fill(grid, n, p0, count, t, g, s)
        mine = image[n * plane : (n + 1) * plane]
        if g.mode == 0:
            _sample2(
                mine, t.rows, t.columns, t.by_row, t.by_column, panel, count, row_step, s.channels
            )
        elif g.mode == 1:
            _sample1(
                mine, t.rows, t.columns, t.by_row, t.by_column, panel, count, row_step, s.channels
            )
        else:
            _sample4(
                mine, t.rows, t.columns, t.by_row, t.by_column, panel, count, row_step, s.channels
            )
        _to_planes(panel, count, y[n * g.c * g.oh * g.ow + p0 :], g, s)


@kernel()
def _backward_grid(start, stop, image, grid, gy, ggrid, g, s):
    """A unit is a block of output pixels."""
    t = _tables(image, s.taps)
    panel = np.zeros(BLOCK * s.channels, image.dtype)
    row_step = s.columns * s.channels
    plane = s.rows * row_step
    for unit in range(start, stop):
        n, block = divmod(unit, s.blocks)
        p0 = block * BLOCK
        count = min(BLOCK, g.oh * g.ow - p0)
        _fill(grid, n, p0, count, t, g, s)
        transpose(gy[n * g.c * g.oh * g.ow + p0 :], g.oh * g.ow, g.c, count, panel, s.channels,
                  s.lanes)  # fmt: skip
        mine = image[n * plane : (n + 1) * plane]
        out = ggrid[2 * (n * g.oh * g.ow + p0) :]
        if g.mode == 0:
            _slopes2(mine, t.rows, t.columns, t.by_row, t.by_column, t.row_slope, t.column_slope,
                     panel, out, count, row_step, s.channels)  # fmt: skip
        else:
            _slopes4(mine, t.rows, t.columns, t.by_row, t.by_column, t.row_slope, t.column_slope,
                     panel, out, count, row_step, s.channels)  # fmt: skip


@kernel()
def _backward_x(start, stop, grid, gy, gx, g, s):
    """A unit is a group of channels of an image: the samples in order, each to its pixels."""
    t = _tables(gy, s.taps)
    panel = np.zeros(BLOCK * s.group, gy.dtype)
    row_step = s.columns * s.group
    image = np.empty(s.rows * row_step, gy.dtype)
    groups = s.channels // s.group
    for unit in range(start, stop):
        n, group = divmod(unit, groups)
        c0 = group * s.group
        channels = min(s.group, g.c - c0)
        clear(image)
        for p0 in range(0, g.oh * g.ow, BLOCK):
            count = min(BLOCK, g.oh * g.ow - p0)
            _fill(grid, n, p0, count, t, g, s)
            transpose(gy[(n * g.c + c0) * g.oh * g.ow + p0 :], g.oh * g.ow, channels, count, panel,
                      s.group, s.lanes)  # fmt: skip
            if g.mode == 0:
                _scatter2(
                    image, t.rows, t.columns, t.by_row, t.by_column, panel, count, row_step, s.group
                )
            elif g.mode == 1:
                _scatter1(
                    image, t.rows, t.columns, t.by_row, t.by_column, panel, count, row_step, s.group
                )
            else:
                _scatter4(
                    image, t.rows, t.columns, t.by_row, t.by_column, panel, count, row_step, s.group
                )
        for row in range(g.h):
            first = ((row + s.before) * s.columns + s.before) * s.group
            transpose(image[first:], s.group, g.w, channels,
                      gx[((n * g.c + c0) * g.h + row) * g.w :], g.h * g.w, s.lanes)  # fmt: skip


def forward(x: Array, grid: Array, y: Array, g: Geometry) -> None:
    s = _layout(g, x.itemsize)
    launch(_forward, g.n * s.blocks, y.size * s.taps, _image(x, g, s), grid.reshape(-1),
           y.reshape(-1), g, s)  # fmt: skip


def backward(
    x: Array, grid: Array, gy: Array, gx: Array | None, ggrid: Array | None, g: Geometry
) -> None:
    s = _layout(g, gy.itemsize)
    flat, gy = grid.reshape(-1), gy.reshape(-1)
    if gx is not None and gx.size > 0:
        work = gy.size * s.taps + gx.size
        launch(_backward_x, g.n * (s.channels // s.group), work, flat, gy, gx.reshape(-1), g, s)
    if ggrid is None:
        return
    if s.taps == 1 or x.size == 0:
        ggrid[...] = 0
        return
    launch(_backward_grid, g.n * s.blocks, gy.size * s.taps, _image(x, g, s), flat, gy,
           ggrid.reshape(-1), g, s)  # fmt: skip


def _layout(g: Geometry, itemsize: int) -> Layout:
    channels = g.c if g.c < 3 else -(-g.c // 4) * 4
    if channels > CHANNELS:
        channels = -(-g.c // CHANNELS) * CHANNELS
    taps = TAPS[g.mode]
    before, after = (3, 4) if taps == 4 else (1, 2)
    return Layout(
        channels,
        min(channels, CHANNELS),
        before,
        g.h + before + after,
        g.w + before + after,
        -(-g.oh * g.ow // BLOCK),
        taps,
        TARGET.vector_bytes // itemsize,
    )


def _image(x: Array, g: Geometry, s: Layout) -> Any:
    image = np.empty(g.n * s.rows * s.columns * s.channels, x.dtype)
    launch(_to_image, g.n * s.rows, image.size, x.reshape(-1), image, g, s)
    return image
