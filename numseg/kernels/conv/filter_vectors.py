"""The sums of :mod:`numseg.kernels.conv.direct`, with vectors of filters.

Over there vectors are pixels of a row, and rows that end within a vector waste what is left of it:
56 pixels take four vectors of 16. Here the rows of a tile are pixels, which the micro-kernel
broadcasts one by one from the scratch, and tiles go on from one row of outputs into the next. The
vectors are filters, whose weights a unit first lays side by side in a *panel*; a few pixels of all
its filters are transposed on their way to y. Each sum has the same steps in the same order as over
there, and so the same bits.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.direct import Then, Weights, follow
from numseg.kernels.conv.packing import (
    ENOUGH_UNITS,
    SCRATCH_BYTES,
    Axis,
    Layout,
    ceil_div,
    fill,
    layout,
    memory_share,
    multiples,
    residue_classes,
    scratch_for,
    tap_offsets,
    taps_on_image,
)
from numseg.kernels.conv.weight_gradient import transpose
from numseg.kernels.machine.alignment import aligned
from numseg.kernels.machine.jit import kernel, read_only
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import copy_run, fetch_run
from numseg.typing import Array

TILE = (6, 4) if TARGET.registers == 32 else (6, 2)
"""Pixels x vectors of filters. A unit has one tile's filters."""

RUN = 48
"""Pixels that are transposed at once: whole tiles, and whole squares of lanes."""

WASTE = 1.05
"""By how much rows must be shorter than their vectors: else nothing is to be won."""

ROOM = SCRATCH_BYTES // 4 * 7
"""Bytes of a panel and a scratch at most: most of the second-level cache."""

_tile = micro_kernel(*TILE)


class Sizes(NamedTuple):
    """All that the kernel knows besides the arrays and tables."""

    groups: int
    channels: int  # of x, in a group
    filters: int  # channels of y, in a group
    chunk: int  # filters of a unit
    weights: int  # of a filter
    rows: int
    columns: int
    band: int
    bands: int
    cells: int  # bands of all images
    tile_pixels: int
    run: int
    lanes: int
    taps: int  # of a column
    row_taps: int  # steps of a row of taps, all channels


@kernel()
def _correlate(start, stop, x, w, bias, y, then, pixels, steps, layout, s):
    scratch = scratch_for(layout, x)
    panel = aligned(np.empty(s.weights * s.chunk + s.lanes, x.dtype))
    sums = aligned(np.empty(s.run * s.chunk + s.lanes, x.dtype))
    out_pixels, vectors = multiples(s.run, s.chunk), multiples(s.chunk // s.lanes, s.lanes)
    plane = s.rows * s.columns
    packed = -1
    for unit in range(start, stop):
        chunk, cell = divmod(unit, s.cells)
        f0 = chunk * s.chunk
        if packed != chunk:
            transpose(w[f0 * s.weights :], s.weights, s.chunk, s.weights, panel, s.chunk, s.lanes)
            packed = chunk
        image, band = divmod(cell, s.bands)
        t0 = band * s.band
        first = (image * s.groups + f0 // s.filters) * s.channels * layout.h * layout.w
        fill(scratch, x[first:], s.channels, 0, t0, layout)
        begin = (image * s.groups * s.filters + f0) * plane + t0 * s.columns
        out = y[begin:]
        pixels_here = min(s.band, s.rows - t0) * s.columns
        for p0 in range(0, pixels_here, s.run):
            count = min(s.run, pixels_here - p0)
            top, bottom = t0 + p0 // s.columns, t0 + (p0 + count - 1) // s.columns
            i, end = taps_on_image(top, bottom, 0, s.taps, layout)
            for f in range(s.chunk):
                fetch_run(out, f * plane + p0, f * plane + p0 + count)
            for p in range(count):
                copy_run(bias, f0, sums, p * s.chunk, s.chunk)
            for p in range(0, count, s.tile_pixels):
                _tile(scratch, pixels, p0 + p, panel, vectors, 0, steps,
                      i * s.row_taps, end * s.row_taps,
                      sums, out_pixels, p, vectors, 0, True)  # fmt: skip
            source = read_only(sums)
            transpose(source, s.chunk, count, s.chunk, out[p0:], plane, s.lanes)
            if then is not None:
                for f in range(s.chunk):
                    at = f * plane + p0
                    follow(out[at : at + count], begin + at, then)


def suits(x: Array, y: Array, groups: int, rows: Axis, columns: Axis) -> bool:
    """Whether rows waste enough of their vectors, filters waste none, and there is room."""
    lanes = TARGET.vector_bytes // x.itemsize
    return (
        y.size > 0
        and rows.taps * columns.taps > 1
        and rows.step == columns.step == residue_classes(rows) == 1
        and y.shape[1] // groups % (TILE[1] * lanes) == 0
        and ceil_div(columns.outputs, lanes) * lanes >= WASTE * columns.outputs
        and _band(x.shape, y.shape, x.itemsize, groups, rows, columns) > 0
    )


@functools.lru_cache(maxsize=256)
def _band(
    x_shape: tuple[int, ...], y_shape: tuple[int, ...], itemsize: int, groups: int,
    rows: Axis, columns: Axis,
) -> int:  # fmt: skip
    """How many rows of outputs a unit has, or 0: as many as there is room for, in bands of one
    size; but no band shorter than a kernel, which would be filled again and again."""
    channels = x_shape[1] // groups
    chunk = TILE[1] * TARGET.vector_bytes // itemsize
    x_bytes, y_bytes = (math.prod(shape) * itemsize for shape in (x_shape, y_shape))
    share = memory_share(x_bytes, y_bytes, min(math.prod(s[2:]) for s in (x_shape, y_shape)))
    panel = (channels * rows.taps * columns.taps + RUN) * chunk * itemsize

    def fits(band: int) -> bool:
        scratch = layout(rows, columns, channels, band, itemsize)
        return panel + scratch.size * itemsize <= min(share, ROOM)

    least = min(rows.taps, rows.outputs)
    most = max((band for band in range(least, rows.outputs + 1) if fits(band)), default=0)
    if most == 0:
        return 0
    wanted = ceil_div(ENOUGH_UNITS, x_shape[0] * (y_shape[1] // chunk))
    bands = max(ceil_div(rows.outputs, most), min(wanted, rows.outputs // least))
    return ceil_div(rows.outputs, bands)


def correlate(
    x: Array, w: Array, bias: Array | None, y: Array, groups: int, rows: Axis, columns: Axis,
    weights: Weights, then: Then | None = None,
) -> None:  # fmt: skip
    """Fill y, as :func:`numseg.kernels.conv.direct.correlate` does."""
    s, scratch, tables = _plan(x.shape, y.shape, x.itemsize, groups, rows, columns, weights)
    if bias is None:
        bias = np.zeros(y.shape[1], y.dtype)
        bias.flags.writeable = False  # as the caller's is, or the kernel would be compiled again
    work = y.size * len(tables[1]) // s.lanes
    launch(_correlate, y.shape[1] // s.chunk * s.cells, work, x.reshape(-1), w.reshape(-1), bias,
           y.reshape(-1), then, *tables, scratch, s)  # fmt: skip


@functools.lru_cache(maxsize=256)
def _plan(
    x_shape: tuple[int, ...], y_shape: tuple[int, ...], itemsize: int, groups: int,
    rows: Axis, columns: Axis, weights: Weights,
) -> tuple[Sizes, Layout, tuple[Array, Array]]:  # fmt: skip
    channels, filters = x_shape[1] // groups, y_shape[1] // groups
    lanes = TARGET.vector_bytes // itemsize
    chunk = TILE[1] * lanes
    band = _band(x_shape, y_shape, itemsize, groups, rows, columns)
    bands = ceil_div(rows.outputs, band)
    scratch = layout(rows, columns, channels, band, itemsize)
    pixel = tap_offsets(scratch, rows, columns, channels)
    weight = weights.offsets(rows, columns, channels)
    steps = np.stack([pixel, weight * chunk], -1).reshape(-1, 2)
    size = band * columns.outputs
    t, q = np.divmod(np.minimum(np.arange(size + TILE[0]), size - 1), columns.outputs)
    sizes = Sizes(
        groups, channels, filters, chunk, weights.f, rows.outputs, columns.outputs, band, bands,
        x_shape[0] * bands, TILE[0], RUN, lanes, rows.taps, channels * columns.taps,
    )  # fmt: skip
    return sizes, scratch, (t * scratch.width + q, steps.astype(np.int64))
