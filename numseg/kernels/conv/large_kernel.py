"""Convolutions whose kernels are a vector wide and more, as FCN's 64x64 of stride 32 is.

    y[n, f, u, v] = bias[f] + sum over c, i, j of  w[f, c, i, j] * x[n, c, u s + i, v s + j]

The taps (i, j ...) of a row lie side by side both in w and in x, wherever the stride puts them. So
vectors of the micro-kernel are taps here, not pixels, and nothing needs to be sorted into phases:

- forward: the sum runs along memory in both arrays. A tile is filters x outputs, each of its sums
  a vector of partial sums, whose lanes are added up in order in the end.
- the gradient of w: its rows lie as those of x, so vectors of x are multiplied with numbers of gy.

A unit copies the rows of x that it needs, with their padding. (:mod:`numseg.kernels.conv.direct`
would need thousands of them at once, for a vector of outputs in each of their s * s phases.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue, epilogue_pass
from numseg.kernels.conv.problem import Correlation, Problem, WeightGradient
from numseg.kernels.machine.integers import ceil_div, fill_multiples
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.scratch import aligned, clear
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

TILE = (7, 3) if TARGET.registers == 32 else (4, 3)
"""Filters x vectors."""

_along = micro_kernel(*TILE, across=True)
_taps = micro_kernel(*TILE)

PANEL_BYTES = 24 * 1024
"""Weights of a tile's filters that stay in the first-level cache while all outputs meet them."""

FILTERS, OUTPUTS = 70, 128
"""The most of a unit, for it has a vector of each pair. Weights come from beyond the caches once
for a unit, so it has fewer outputs only where there would be less than ``FEWEST_UNITS``."""

FEWEST_UNITS = 8

PIXELS = 512
"""Outputs that the micro-kernel takes at once, so that the numbers of gy stay there too."""


class LargeKernelWork(NamedTuple):
    """How the work is cut, and all else that the kernels know besides the arrays."""

    images: int
    groups: int
    channels: int  # of x, in a group
    filters: int
    h: int
    w: int
    rows: int  # of outputs
    columns: int
    kh: int
    kw: int
    sy: int
    sx: int
    pt: int
    pl: int
    band: int  # rows of outputs that a unit takes at once
    bands: int
    chunk: int  # filters of a unit
    chunks: int
    taps: int  # rows of taps that a unit takes at once
    block: int  # channels that a unit takes at once
    blocks: int
    vectors: int  # in a row of taps
    lanes: int
    width: int  # of a copied row
    tile_filters: int
    tile_vectors: int


def _work(p: Problem) -> LargeKernelWork:
    rows, columns = p.rows, p.columns
    lanes = TARGET.vector_bytes // p.itemsize
    vectors = ceil_div(columns.taps, lanes)
    return LargeKernelWork(
        p.images, p.groups, p.channels, p.filters, rows.size, columns.size,
        rows.outputs, columns.outputs, rows.taps, columns.taps, rows.stride, columns.stride,
        rows.pad, columns.pad, 0, 0, 0, 0, 0, 0, 0, vectors, lanes,
        (columns.outputs - 1) * columns.stride + vectors * lanes, *TILE,
    )  # fmt: skip


@rule
def copy_padded_row(plane, row, s, line):
    """A row of the image with its padding, from ``-pl`` on."""
    begin = min(s.pl, len(line))
    count = min(s.w, len(line) - begin)
    if row < 0 or row >= s.h:
        count = begin = 0
    copy(plane[row * s.w : row * s.w + count], line[begin : begin + count])
    clear(line[:begin])
    clear(line[begin + count :])


@kernel()
def _forward(start, stop, x, w, bias, y, s):
    """A unit is a band of outputs, in a chunk of filters."""
    s = as_fields(s, LargeKernelWork)
    scratch = aligned(np.empty(s.block * s.band * s.taps * s.width + s.lanes, x.dtype))
    pixels = s.band * s.columns
    sums = aligned(np.empty((s.chunk * pixels + 1) * s.lanes, x.dtype))
    filters = np.empty(s.chunk + s.tile_filters, np.int64)
    out_filters = np.empty(len(filters), np.int64)
    places = np.empty(pixels + s.tile_vectors, np.int64)
    out_places = np.empty(len(places), np.int64)
    steps = np.empty((s.block * s.taps * s.vectors, 2), np.int64)
    for unit in range(start, stop):
        cell, chunk = divmod(unit, s.chunks)
        image, band = divmod(cell, s.bands)  # of a group
        f0 = image % s.groups * s.filters + chunk * s.chunk
        count = min(s.chunk, s.filters - chunk * s.chunk)
        fill_multiples(filters, count, s.channels * s.kh * s.kw)
        fill_multiples(out_filters, count, s.band * s.columns * s.lanes)
        u0 = band * s.band
        height = min(s.band, s.rows - u0)
        pixels = height * s.columns
        fill_multiples(out_places, pixels, s.lanes)
        clear(sums)
        for c0 in range(0, s.channels, s.block):
            channels = min(s.block, s.channels - c0)
            for i0 in range(0, s.kh, s.taps):
                taps = min(s.taps, s.kh - i0)
                k = line = 0
                for c in range(channels):
                    plane = x[(image * s.channels + c0 + c) * s.h * s.w :]
                    for i in range(taps):
                        for j in range(0, s.kw, s.lanes):
                            steps[k, 0] = (c * s.kh + i) * s.kw + j
                            steps[k, 1] = line * s.width + j
                            k += 1
                        for t in range(height):
                            row = (u0 + t) * s.sy + i0 + i - s.pt
                            copy_padded_row(
                                plane, row, s, scratch[line * s.width : (line + 1) * s.width]
                            )
                            line += 1
                for p in range(len(places)):
                    t, q = divmod(min(p, pixels - 1), s.columns)
                    places[p] = t * s.width + q * s.sx
                weights = w[((f0 * s.channels + c0) * s.kh + i0) * s.kw :]
                for f in range(0, count, s.tile_filters):
                    for p in range(0, pixels, s.tile_vectors):
                        _along(weights, filters, f, scratch, places, p, steps, 0, k,
                               sums, out_filters, f, out_places, p, True)  # fmt: skip
        for f in range(count):
            plane = image * s.filters + chunk * s.chunk + f
            out = y[(plane * s.rows + u0) * s.columns :]
            first = bias[f0 + f]
            for p in range(pixels):
                lanes = sums[out_filters[f] + p * s.lanes :]
                total = lanes[0]
                for lane in range(1, s.lanes):
                    total += lanes[lane]
                out[p] = first + total


@kernel()
def _grad_w(start, stop, x, gy, gw, s):
    """A unit is the taps ``residue, residue + sy, ...`` of a column, of a block of channels: they
    meet the same rows of x."""
    s = as_fields(s, LargeKernelWork)
    lines = s.band + s.taps - 1
    scratch = aligned(np.empty(s.block * lines * s.width + s.lanes, x.dtype))
    vectors = s.block * s.taps * s.vectors + s.tile_vectors
    places, out_places = np.empty(vectors, np.int64), np.empty(vectors, np.int64)
    sums = aligned(np.empty((s.filters * vectors + 1) * s.lanes, x.dtype))
    filters = np.empty(s.filters + s.tile_filters, np.int64)
    out_filters = np.empty(len(filters), np.int64)
    fill_multiples(filters, s.filters, s.rows * s.columns)
    fill_multiples(out_filters, s.filters, vectors * s.lanes)
    steps = np.empty((s.band * s.columns, 2), np.int64)
    for t in range(s.band):
        for q in range(s.columns):
            steps[t * s.columns + q, 0] = t * s.columns + q
            steps[t * s.columns + q, 1] = t * s.width + q * s.sx
    for unit in range(start, stop):
        rest, residue = divmod(unit, min(s.sy, s.kh))
        group, block = divmod(rest, s.blocks)
        c0 = block * s.block
        channels = min(s.block, s.channels - c0)
        taps = (s.kh - residue + s.sy - 1) // s.sy
        count = 0
        for c in range(channels):
            for i in range(taps):
                for j in range(s.vectors):
                    places[count] = (c * lines + i) * s.width + j * s.lanes
                    count += 1
        for v in range(count, len(places)):
            places[v] = places[count - 1]
        fill_multiples(out_places, count, s.lanes)
        clear(sums)
        for cell in range(s.images * s.bands):
            image, band = divmod(cell, s.bands)
            image = image * s.groups + group
            u0 = band * s.band
            height = min(s.band, s.rows - u0)
            for c in range(channels):
                plane = x[(image * s.channels + c0 + c) * s.h * s.w :]
                for line in range(height + taps - 1):
                    first = (c * lines + line) * s.width
                    row = (u0 + line) * s.sy + residue - s.pt
                    copy_padded_row(plane, row, s, scratch[first : first + s.width])
            here = gy[(image * s.filters * s.rows + u0) * s.columns :]
            for f in range(0, s.filters, s.tile_filters):
                for v in range(0, count, s.tile_vectors):
                    _taps(here, filters, f, scratch, places, v, steps, 0, height * s.columns,
                          sums, out_filters, f, out_places, v, True)  # fmt: skip
        for f in range(s.filters):
            first = (group * s.filters + f) * s.channels + c0
            for line in range(channels * taps):
                c, i = divmod(line, taps)
                at = ((first + c) * s.kh + i * s.sy + residue) * s.kw
                source = out_filters[f] + line * s.vectors * s.lanes
                copy(sums[source : source + s.kw], gw[at : at + s.kw])


def suits(p: Problem) -> bool:
    """Rows of taps are whole vectors, and the stride is half of one at least: for less, sorting x
    into phases is worth it."""
    lanes = TARGET.vector_bytes // p.itemsize
    dense = p.rows.dilation == p.columns.dilation == 1
    return dense and p.columns.taps % lanes == 0 and 2 * p.columns.stride >= lanes


def forward(p: Problem) -> Correlation:
    s = _work(p)
    chunk, chunks = _evenly(s.filters, FILTERS)
    units = s.images * p.groups * chunks  # for a row
    band, bands = _evenly(s.rows, min(s.rows * units // FEWEST_UNITS, OUTPUTS // s.columns))
    panel = PANEL_BYTES // (s.tile_filters * s.kw * p.itemsize)  # rows of taps
    taps, _ = _evenly(s.kh, panel)
    block = max(min(panel // s.kh, s.channels), 1)
    s = s._replace(band=band, bands=bands, chunk=chunk, chunks=chunks, taps=taps, block=block)
    outputs = s.images * p.groups * s.filters * s.rows * s.columns
    work, numbers = outputs * s.channels * s.kh * s.vectors, as_array(s)
    no_bias = np.zeros(p.groups * s.filters, f"f{p.itemsize}")

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        start = no_bias if bias is None else bias.view()
        start.flags.writeable = False  # one kernel, whatever it is
        launch(_forward, bands * units, work, x.reshape(-1), w.reshape(-1), start, y.reshape(-1),
               numbers)  # fmt: skip
        epilogue_pass(y, epilogue)

    return run


def weight_gradient(p: Problem) -> WeightGradient:
    s = _work(p)
    band, bands = _evenly(s.rows, PIXELS // s.columns)
    residues, taps = min(s.sy, s.kh), ceil_div(s.kh, s.sy)
    whole = taps * s.vectors % s.tile_vectors == 0
    block = 1 if whole else min(s.tile_vectors, s.channels)
    blocks = ceil_div(s.channels, block)
    s = s._replace(band=band, bands=bands, taps=taps, block=block, blocks=blocks)
    outputs = s.images * p.groups * s.filters * s.rows * s.columns
    work, numbers = outputs * s.channels * s.kh * s.vectors, as_array(s)

    def run(x: Array, gy: Array, gw: Array) -> None:
        launch(_grad_w, p.groups * blocks * residues, work, x.reshape(-1), gy.reshape(-1),
               gw.reshape(-1), numbers)  # fmt: skip

    return run


def _evenly(number: int, most: int) -> tuple[int, int]:
    """Cut into parts of ``most`` at most, or 1: a part, and how many there are."""
    parts = ceil_div(number, max(min(most, number), 1))
    return ceil_div(number, parts), parts
