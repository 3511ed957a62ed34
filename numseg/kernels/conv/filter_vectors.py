"""The sums of :mod:`numseg.kernels.conv.direct`, with vectors of filters.

Over there vectors are pixels of a row, and rows that end within a vector waste what is left of it:
56 pixels take four vectors of 16. Here the rows of a tile are pixels, which the micro-kernel
broadcasts one by one from the scratch, and tiles go on from one row of outputs into the next. The
vectors are filters, whose weights a unit first lays side by side in a *panel*; a few pixels of all
its filters are transposed on their way to y. Each sum has the same steps in the same order as over
there, and so the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numseg.kernels.conv.epilogue import Epilogue, apply_epilogue
from numseg.kernels.conv.packing import (
    SCRATCH_BYTES,
    Layout,
    layout,
    memory_share,
    pack,
    residue_classes,
    scratch_for,
    tap_offsets,
    taps_on_image,
)
from numseg.kernels.conv.problem import Correlation, Problem
from numseg.kernels.machine.integers import ceil_div, multiples
from numseg.kernels.machine.jit import kernel, read_only
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.scratch import aligned
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.transpose import transpose
from numseg.kernels.machine.vector_copy import copy_row, prefetch
from numseg.kernels.machine.work_units import ENOUGH_UNITS
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


class FilterVectorWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides arrays and tables."""

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
def _correlate(start, stop, x, w, bias, y, epilogue, pixels, steps, layout, s):
    layout, s = as_fields(layout, Layout), as_fields(s, FilterVectorWork)
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
        pack(scratch, x[first:], s.channels, 0, t0, layout)
        begin = (image * s.groups * s.filters + f0) * plane + t0 * s.columns
        out = y[begin:]
        pixels_here = min(s.band, s.rows - t0) * s.columns
        for p0 in range(0, pixels_here, s.run):
            count = min(s.run, pixels_here - p0)
            top, bottom = t0 + p0 // s.columns, t0 + (p0 + count - 1) // s.columns
            i, end = taps_on_image(top, bottom, 0, s.taps, layout)
            for f in range(s.chunk):
                prefetch(out, f * plane + p0, f * plane + p0 + count)
            for p in range(count):
                copy_row(bias, f0, sums, p * s.chunk, s.chunk)
            for p in range(0, count, s.tile_pixels):
                _tile(scratch, pixels, p0 + p, panel, vectors, 0, steps,
                      i * s.row_taps, end * s.row_taps,
                      sums, out_pixels, p, vectors, 0, True)  # fmt: skip
            source = read_only(sums)
            transpose(source, s.chunk, count, s.chunk, out[p0:], plane, s.lanes)
            if epilogue is not None:
                for f in range(s.chunk):
                    at = f * plane + p0
                    apply_epilogue(out[at : at + count], begin + at, epilogue)


def suits(p: Problem) -> bool:
    """Whether rows waste enough of their vectors, filters waste none, and there is room."""
    rows, columns, lanes = p.rows, p.columns, TARGET.vector_bytes // p.itemsize
    return (
        p.taps > 1
        and rows.step == columns.step == residue_classes(rows) == 1
        and p.filters % (TILE[1] * lanes) == 0
        and ceil_div(columns.outputs, lanes) * lanes >= WASTE * columns.outputs
        and _band(p) > 0
    )


def _band(p: Problem) -> int:
    """How many rows of outputs a unit has, or 0: as many as there is room for, in bands of one
    size; but no band shorter than a kernel, which would be filled again and again."""
    itemsize, rows, columns = p.itemsize, p.rows, p.columns
    chunk = TILE[1] * TARGET.vector_bytes // itemsize
    shapes = p.x_shape, p.y_shape
    x_bytes, y_bytes = (math.prod(shape) * itemsize for shape in shapes)
    share = memory_share(x_bytes, y_bytes, min(math.prod(shape[2:]) for shape in shapes))
    panel = (p.channels * p.taps + RUN) * chunk * itemsize

    def fits(band: int) -> bool:
        scratch = layout(rows, columns, p.channels, band, itemsize)
        return panel + scratch.size * itemsize <= min(share, ROOM)

    least = min(rows.taps, rows.outputs)
    most = max((band for band in range(least, rows.outputs + 1) if fits(band)), default=0)
    if most == 0:
        return 0
    wanted = ceil_div(ENOUGH_UNITS, p.images * (p.groups * p.filters // chunk))
    bands = max(ceil_div(rows.outputs, most), min(wanted, rows.outputs // least))
    return ceil_div(rows.outputs, bands)


def forward(p: Problem) -> Correlation:
    s, scratch, tables = _plan(p)
    filters = p.groups * p.filters
    no_bias = np.zeros(filters, f"f{p.itemsize}")
    no_bias.flags.writeable = False  # as a given one is, or the kernel would be compiled again
    units = filters // s.chunk * s.cells
    work = p.images * filters * s.rows * s.columns * len(tables[1]) // s.lanes

    numbers = as_array(scratch), as_array(s)

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        start = no_bias if bias is None else bias
        launch(_correlate, units, work, x.reshape(-1), w.reshape(-1), start, y.reshape(-1),
               epilogue, *tables, *numbers)  # fmt: skip

    return run


def _plan(p: Problem) -> tuple[FilterVectorWork, Layout, tuple[Array, Array]]:
    """Cut the work into units, and tabulate the offsets."""
    rows, columns, itemsize = p.rows, p.columns, p.itemsize
    lanes = TARGET.vector_bytes // itemsize
    chunk = TILE[1] * lanes
    band = _band(p)
    bands = ceil_div(rows.outputs, band)
    scratch = layout(rows, columns, p.channels, band, itemsize)
    pixel = tap_offsets(scratch, rows, columns, p.channels)
    steps = np.stack([pixel, p.weight_offsets() * chunk], -1).reshape(-1, 2)
    size = band * columns.outputs
    t, q = np.divmod(np.minimum(np.arange(size + TILE[0]), size - 1), columns.outputs)
    s = FilterVectorWork(
        p.groups, p.channels, p.filters, chunk, p.filter_weights, rows.outputs, columns.outputs,
        band, bands, p.images * bands, TILE[0], RUN, lanes, rows.taps, p.channels * columns.taps,
    )  # fmt: skip
    return s, scratch, (t * scratch.width + q, steps.astype(np.int64))
