"""deform_conv2d on the CPU.

The image is brought into an order in which a pixel's channels lie side by side (*image*), with
zeros around it: then a sample is a weighted sum of four runs of channels, wherever it lies. The
work is cut into bands of output pixels. For each tap the samples of a band fill a *panel*,
(pixels, channels), which the micro-kernel multiplies by the tap's weights: pixels are its rows, and
filters its vectors. So of all the samples only a band's of one tap exist at a time.

Backward is the transpose. A tap's weights times grad_y are a panel of the samples' gradients; from
there they go to the four pixels, and by dot products with these to offset and mask. Each slice of
an image's bands adds to an image of gradients of its own, and the slices are added up in order. The
gradient of the weights is grad_y times the panel of samples, again in slices. Slices are cut by
sizes alone, so that the bits are the same for any number of threads.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.bias_gradient import bias_gradient
from numseg.kernels.conv.packing import SCRATCH_BYTES
from numseg.kernels.conv.weight_gradient import TILES, best_tile, run_tile
from numseg.kernels.machine.integers import ceil_div
from numseg.kernels.machine.jit import kernel, read_only, rule
from numseg.kernels.machine.scratch import clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.kernels.machine.work_units import ENOUGH_UNITS
from numseg.kernels.sampling.corners import blend, dots, scatter_add
from numseg.ops.deform_conv2d.geometry import Geometry
from numseg.ops.deform_conv2d.rules import neighbours
from numseg.typing import Array

AROUND = 3
"""Rows and columns of zeros: one before the image, and two after it, where samples outside lie."""

STEP = math.lcm(*(rows for rows, _ in TILES))
"""Output pixels of a band are a multiple of it, so that all tiles of a band are whole."""

BAND = 96 // STEP * STEP
"""Output pixels of a band at most: the samples and sums of more would not stay in the first-level
cache."""


class Product(NamedTuple):
    """A product (rows, steps) times (steps, columns), as the micro-kernel takes it."""

    tile: int  # which of TILES
    tile_rows: int
    tile_vectors: int
    steps: int
    columns: int
    padded: int  # columns, made up to whole tiles
    width: int  # of a row of the result
    # offsets; where rows make no whole tile, the last comes again and again
    a_rows: Array
    out_rows: Array
    table: Array  # (steps, 2)
    vectors: Array


class DeformWork(NamedTuple):
    """All that the kernels know besides the arrays and the geometry."""

    lanes: int
    taps: int
    outputs: int  # pixels of a plane of y
    rows: int  # of the image with the zeros around it
    row: int  # numbers in a row of it
    band: int
    bands: int  # of an image
    slices: int  # of an image, in backward
    cuts: int  # of all bands, in the gradient of the weights


@rule
def _add(out, run):
    for i in range(len(run)):
        out[i] += run[i]


@kernel()
def _to_pixels(start, stop, x, image, g, s):
    """A unit is a row of the image with its zeros."""
    for unit in range(start, stop):
        n, row = divmod(unit, s.rows)
        line = image[unit * s.row : (unit + 1) * s.row]
        clear(line)
        if 1 <= row <= g.h:
            first = (n * g.c * g.h + row - 1) * g.w
            transpose(x[first:], g.h * g.w, g.c, g.w, line[g.c :], g.c, s.lanes)


@rule
def around(y, x, i, j, at, offset, g, s):
    """The neighbours of the sample of tap (i, j) for output (y, x), along the rows and the columns.
    Its offsets lie ``at``, and a plane further on."""
    row = y * g.sy - g.pt + i * g.dy + offset[at]
    column = x * g.sx - g.pl + j * g.dx + offset[at + s.outputs]
    return (
        neighbours(row, g.h, g.clamped, g.flat_start),
        neighbours(column, g.w, g.clamped, g.flat_start),
    )


@rule
def following(y, x, g):
    """The output after (y, x). (To divide takes longer than all else about a place.)"""
    return (y, x + 1) if x + 1 < g.ow else (y + 1, 0)


@rule
def corner_weights(row, column, factor):
    """Of the four pixels around a sample, row by row."""
    above, below = factor * row[1], factor * row[2]
    return above * column[1], above * column[2], below * column[1], below * column[2]


@rule
def sample(panel, image, n, tap, p0, count, offset, mask, g, s):
    """Fill the panel, (pixels, channels), with the samples of a tap times their factors."""
    channels, number = g.c // g.offset_groups, panel.dtype.type
    i, j = divmod(tap, g.kw)
    for group in range(g.offset_groups):
        plane = (n * g.offset_groups + group) * s.taps + tap
        y, x = divmod(p0, g.ow)
        for p in range(count):
            row, column = around(y, x, i, j, 2 * plane * s.outputs + p0 + p, offset, g, s)
            y, x = following(y, x, g)
            factor = mask[plane * s.outputs + p0 + p] if g.masked else 1.0
            a, b, c, d = corner_weights(row, column, factor)
            at = (n * s.rows + row[0] + 1) * s.row + (column[0] + 1) * g.c + group * channels
            blend(image, at, g.c, s.row, channels, panel, p * g.c + group * channels,
                number(a), number(b), number(c), number(d))  # fmt: skip


@rule
def product(a, count, x, k, out, m):
    """Add to what out holds the product of ``count`` rows of a with x, of k steps."""
    for v in range(0, len(m.vectors), m.tile_vectors):
        for r in range(0, count, m.tile_rows):
            run_tile(m.tile, a, m.a_rows, r, x, m.vectors, v, m.table, 0, k, out, m.out_rows)


@kernel()
def _forward(start, stop, image, offset, mask, weights, bias, y, g, s, m):
    """A unit is a band of output pixels."""
    panel = np.empty(s.band * g.c, image.dtype)
    plane = s.band * m.padded
    sums = np.empty(g.groups * plane, image.dtype)
    filters = g.f // g.groups
    for unit in range(start, stop):
        n, band = divmod(unit, s.bands)
        p0 = band * s.band
        count = min(s.band, s.outputs - p0)
        for group in range(g.groups):
            for p in range(count):
                first = group * plane + p * m.padded
                line = sums[first : first + m.padded]
                for f in range(m.padded):
                    line[f] = bias[group * m.padded + f]
        for tap in range(s.taps):
            sample(panel, image, n, tap, p0, count, offset, mask, g, s)
            for group in range(g.groups):
                here = weights[(tap * g.groups + group) * m.steps * m.padded :]
                left, to = read_only(panel)[group * m.steps :], sums[group * plane :]
                product(left, count, here, m.steps, to, m)
        for group in range(g.groups):
            target = y[(n * g.f + group * filters) * s.outputs + p0 :]
            source = read_only(sums)[group * plane :]
            transpose(source, m.padded, count, filters, target, s.outputs, s.lanes)


@kernel()
def _backward(
    start, stop, image, offset, mask, weights, gy, gimage, touched, goffset, gmask, g, s, m
):
    """A unit is a slice of the bands of an image. Gradients that have no numbers are not wanted."""
    panel = np.empty(s.band * m.width, image.dtype)
    turned = np.empty(s.band * g.f, image.dtype)
    for unit in range(start, stop):
        n, cut = divmod(unit, s.slices)
        begin, end = s.bands * cut // s.slices, s.bands * (cut + 1) // s.slices
        mine = gimage[unit * s.rows * s.row :]
        if len(gimage) > 0:
            first, last = touched[unit, 0] * s.row, touched[unit, 1] * s.row
            clear(mine[first:last])
        for band in range(begin, end):
            p0 = band * s.band
            count = min(s.band, s.outputs - p0)
            source = gy[n * g.f * s.outputs + p0 :]
            transpose(source, s.outputs, g.f, count, turned, g.f, s.lanes)
            for tap in range(s.taps):
                for group in range(g.groups):
                    # clear what the group before wrote beyond its own channels, too
                    first = group * m.columns
                    for p in range(count):
                        clear(panel[p * m.width + first : p * m.width + first + m.padded])
                    here = weights[(tap * g.groups + group) * m.steps * m.padded :]
                    left = read_only(turned)[group * m.steps :]
                    product(left, count, here, m.steps, panel[first:], m)
                pass_on(panel, m.width, image, n, tap, p0, count, offset, mask, mine, goffset,
                        gmask, len(gimage) > 0, g, s)  # fmt: skip


@rule
def pass_on(
    panel, width, image, n, tap, p0, count, offset, mask, gimage, goffset, gmask, wanted, g, s
):
    """From the gradients of a tap's samples (before their factors) to those of what made them."""
    channels, number = g.c // g.offset_groups, panel.dtype.type
    i, j = divmod(tap, g.kw)
    for group in range(g.offset_groups):
        plane = (n * g.offset_groups + group) * s.taps + tap
        y, x = divmod(p0, g.ow)
        for p in range(count):
            row, column = around(y, x, i, j, 2 * plane * s.outputs + p0 + p, offset, g, s)
            y, x = following(y, x, g)
            factor = mask[plane * s.outputs + p0 + p] if g.masked else 1.0
            first = p * width + group * channels
            pixel = (row[0] + 1) * s.row + (column[0] + 1) * g.c + group * channels
            if wanted and row[0] < g.h and column[0] < g.w:
                a, b, c, d = corner_weights(row, column, factor)
                scatter_add(gimage, pixel, g.c, s.row, channels, panel, first,
                     number(a), number(b), number(c), number(d))  # fmt: skip
            if len(goffset) == len(gmask) == 0:
                continue
            at = n * s.rows * s.row + pixel
            a, b, c, d = dots(image, at, g.c, s.row, channels, panel, first)
            if len(goffset) > 0:  # adding 0.0 makes no -0.0 of a product with zero
                place = 2 * plane * s.outputs + p0 + p
                by_row = (c - a) * column[1] + (d - b) * column[2]
                goffset[place] = 0.0 + factor * row[3] * by_row
                by_column = (b - a) * row[1] + (d - c) * row[2]
                goffset[place + s.outputs] = 0.0 + factor * column[3] * by_column
            if len(gmask) > 0:
                above, below = a * column[1] + b * column[2], c * column[1] + d * column[2]
                gmask[plane * s.outputs + p0 + p] = 0.0 + above * row[1] + below * row[2]


@kernel()
def _from_slices(start, stop, gimage, touched, gx, g, s):
    """A unit is a row of the image: add up the slices that touched it, in order."""
    line = np.empty(g.w * g.c, gx.dtype)
    for unit in range(start, stop):
        n, row = divmod(unit, g.h)
        clear(line)
        for cut in range(n * s.slices, (n + 1) * s.slices):
            if touched[cut, 0] <= row + 1 < touched[cut, 1]:
                first = (cut * s.rows + row + 1) * s.row + g.c
                _add(line, gimage[first : first + len(line)])
        target = gx[(n * g.c * g.h + row) * g.w :]
        transpose(read_only(line), g.c, g.w, g.c, target, g.h * g.w, s.lanes)


@kernel()
def _grad_w(start, stop, image, offset, mask, gy, sums, g, s, m):
    """A unit is a tap, in a slice of all bands."""
    panel = np.empty(s.band * g.c + m.padded, image.dtype)
    clear(panel)  # vectors reach beyond the last channel
    filters = g.f // g.groups
    for unit in range(start, stop):
        cut, tap = divmod(unit, s.taps)
        out = sums[unit * g.f * m.padded : (unit + 1) * g.f * m.padded]
        clear(out)
        cells = g.n * s.bands
        for cell in range(cells * cut // s.cuts, cells * (cut + 1) // s.cuts):
            n, band = divmod(cell, s.bands)
            p0 = band * s.band
            count = min(s.band, s.outputs - p0)
            sample(panel, image, n, tap, p0, count, offset, mask, g, s)
            for group in range(g.groups):
                here = gy[(n * g.f + group * filters) * s.outputs + p0 :]
                right = read_only(panel)[group * m.columns :]
                to = out[group * filters * m.padded :]
                product(here, filters, right, count, to, m)


# -- the calls ------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _sizes(g: Geometry, itemsize: int) -> DeformWork:
    lanes, outputs = TARGET.vector_bytes // itemsize, g.oh * g.ow
    most = SCRATCH_BYTES // ((g.c + g.f + lanes) * itemsize) // STEP * STEP
    even = ceil_div(ceil_div(g.n * outputs, ENOUGH_UNITS), STEP) * STEP
    band = max(min(most, even, BAND), STEP)
    bands = ceil_div(outputs, band)
    slices = min(ceil_div(ENOUGH_UNITS, max(g.n, 1)), bands)
    # the sums for w take no more memory than the image, or else one copy of w
    weights = g.f * (g.c // g.groups) * g.kh * g.kw
    cuts = g.n * g.c * g.h * g.w // max(weights, 1)
    cuts = max(min(cuts, ENOUGH_UNITS, g.n * bands), 1)
    row = (g.w + AROUND) * g.c
    return DeformWork(lanes, g.kh * g.kw, outputs, g.h + AROUND, row, band, bands, slices, cuts)


@functools.lru_cache(maxsize=256)
def _product(
    rows: int, steps: int, columns: int, lanes: int, a_row: int, x_step: int = 0, beside: int = 0
) -> Product:
    """A row of a has its steps side by side. A row of x is as long as the columns made up to whole
    tiles, unless x_step says otherwise; a row of the result so much longer as lies beside them."""
    tile, padded = best_tile(rows, columns, lanes)
    row = np.minimum(np.arange(ceil_div(rows, TILES[tile][0]) * TILES[tile][0]), rows - 1)
    step = np.arange(steps)
    table = np.stack([step, step * (x_step or padded)], 1)
    vectors = np.arange(padded // lanes) * lanes
    width = padded + beside
    return Product(tile, *TILES[tile], steps, columns, padded, width,
                   row * a_row, row * width, table, vectors)  # fmt: skip


def _image(x: Array, g: Geometry, s: DeformWork) -> Array:
    image = np.empty(g.n * s.rows * s.row, x.dtype)
    launch(_to_pixels, g.n * s.rows, x.size, x.reshape(-1), image, g, s)
    image.flags.writeable = False  # as inputs are
    return image


def _mask(mask: Array | None, offset: Array) -> Array:
    """Without a mask, an array of the same type for the kernels not to read."""
    return offset.reshape(-1)[:0] if mask is None else mask.reshape(-1)


def _packed(w: Array, axes: tuple[int, ...], m: Product, g: Geometry) -> Array:
    """w as (taps, groups, steps, padded columns)."""
    shape = g.groups, g.f // g.groups, g.c // g.groups, g.kh * g.kw
    packed = np.zeros((shape[3], g.groups, m.steps, m.padded), w.dtype)
    packed[..., : m.columns] = w.reshape(shape).transpose(axes)
    packed.flags.writeable = False
    return packed.reshape(-1)


def forward(
    x: Array, offset: Array, w: Array, b: Array | None, mask: Array | None, y: Array, g: Geometry
) -> None:
    if y.size == 0:
        return
    s = _sizes(g, x.itemsize)
    m = _product(s.band, g.c // g.groups, g.f // g.groups, s.lanes, g.c)
    bias = np.zeros((g.groups, m.padded), y.dtype)
    if b is not None:
        bias[:, : m.columns] = b.reshape(g.groups, m.columns)
    work = y.size * s.taps * (m.steps + 1) // s.lanes
    launch(_forward, g.n * s.bands, work, _image(x, g, s), offset.reshape(-1), _mask(mask, offset),
           _packed(w, (3, 0, 2, 1), m, g), bias.reshape(-1), y.reshape(-1), g, s, m)  # fmt: skip


def backward(
    x: Array,
    offset: Array,
    w: Array,
    mask: Array | None,
    gy: Array,
    gx: Array | None,
    goffset: Array | None,
    gw: Array | None,
    gb: Array | None,
    gmask: Array | None,
    g: Geometry,
) -> None:
    s = _sizes(g, x.itemsize)
    of_samples = any(grad is not None for grad in (gx, goffset, gmask))
    image = _image(x, g, s) if of_samples or gw is not None else x
    if of_samples:
        _grad_samples(image, offset, w, mask, gy, gx, goffset, gmask, g, s)
    if gw is not None:
        _grad_weights(image, offset, mask, gy, gw, g, s)
    if gb is not None:
        bias_gradient(gy, gb)


def _touched(offset: Array, g: Geometry, s: DeformWork) -> Array:
    """For each slice of each image, the range of rows of its image of gradients."""
    shape = g.n, g.offset_groups, g.kh, g.kw, 2, g.oh, g.ow
    i, _, p, _ = np.ogrid[: g.kh, : g.kw, : g.oh, : g.ow]
    place = offset.reshape(shape)[..., 0, :, :] + (p * g.sy - g.pt + i * g.dy).astype(np.float64)
    inside = (place >= -1) & (place < g.h)
    low = np.where(inside, np.floor(place) + 1, s.rows).min((1, 2, 3)).reshape(g.n, s.outputs)
    high = np.where(inside, np.floor(place) + 3, 0).max((1, 2, 3)).reshape(g.n, s.outputs)
    begin = s.bands * np.arange(s.slices) // s.slices * s.band
    ranges = np.minimum.reduceat(low, begin, 1), np.maximum.reduceat(high, begin, 1)
    return np.stack(ranges, -1).reshape(-1, 2).astype(np.int64)


def _grad_samples(
    image: Array,
    offset: Array,
    w: Array,
    mask: Array | None,
    gy: Array,
    gx: Array | None,
    goffset: Array | None,
    gmask: Array | None,
    g: Geometry,
    s: DeformWork,
) -> None:
    channels = g.c // g.groups
    m = _product(s.band, g.f // g.groups, channels, s.lanes, g.f, beside=g.c - channels)
    units = g.n * s.slices
    gimage = np.empty(0 if gx is None else units * s.rows * s.row, w.dtype)
    touched = _touched(offset, g, s)
    none = np.empty(0, w.dtype)
    wanted = [none if grad is None else grad.reshape(-1) for grad in (goffset, gmask)]
    work = (gy.size * m.columns + offset.size * g.c // g.offset_groups) * s.taps // s.lanes
    launch(_backward, units, work, image, offset.reshape(-1), _mask(mask, offset),
           _packed(w, (3, 0, 1, 2), m, g), gy.reshape(-1), gimage, touched, *wanted, g, s, m,
           )  # fmt: skip
    if gx is not None:
        launch(_from_slices, g.n * g.h, gimage.size, gimage, touched, gx.reshape(-1), g, s)


def _grad_weights(
    image: Array,
    offset: Array,
    mask: Array | None,
    gy: Array,
    gw: Array,
    g: Geometry,
    s: DeformWork,
) -> None:
    m = _product(g.f // g.groups, s.band, g.c // g.groups, s.lanes, s.outputs, g.c)
    sums = np.empty((s.cuts, s.taps, g.f, m.padded), gw.dtype)
    work = gy.size * s.taps * (m.columns + 1) // s.lanes
    launch(_grad_w, s.cuts * s.taps, work, image, offset.reshape(-1), _mask(mask, offset),
           gy.reshape(-1), sums.reshape(-1), g, s, m)  # fmt: skip
    with np.errstate(all="ignore"):
        total = sums.sum(0)[..., : m.columns]
    gw.reshape(g.f, m.columns, s.taps)[:] = total.transpose(1, 2, 0)
