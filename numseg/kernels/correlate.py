"""Sums over taps: what a convolution and its gradient with respect to the image have in common.

    y[n, f, u, v] = bias[f] + sum over c, i, j of  w[f, c, i, j] * x[n, c, u at i, v at j]

Along each axis output u meets pixel ``u * stride + i * dilation - pad`` at its tap i
(:class:`Axis`), and what lies outside the image counts as zero.

The work is cut into units of a *band* of output rows and a chunk of filters. For a band, the
rows that it reads are copied, with their padding, into a scratch that stays in the cache (bands
are cut to that size); then the micro-kernel of :mod:`numseg.kernels.simd` reads vectors of pixels
from the scratch and the weights where they are.

Strides and dilations are gone once the scratch is filled, for it is laid out so that the neighbour
of an output reads the neighbours of its pixels:

- columns: pixel ``v * stride + j * dilation`` is column ``v + j * dilation // stride`` of the
  *phase* ``j * dilation % stride``; the scratch keeps each phase that some tap needs by itself;
- rows: outputs that are ``dilation / gcd(stride, dilation)`` apart (a *residue* class) read the
  rows of an undilated convolution, of stride ``stride / gcd``; a band is of one class, and the
  rest is phases again.
"""

from __future__ import annotations

import functools
import math
import os
from typing import NamedTuple

import numpy as np

from numseg.kernels.jit import kernel, rule
from numseg.kernels.parallel import launch
from numseg.kernels.simd import TARGET, TILES, micro_kernel
from numseg.typing import Array

_wide, _thin, _single = (micro_kernel(rows, vectors) for rows, vectors in TILES)
_KINDS = range(len(TILES))
_LANES = {4: TARGET.vector_bytes // 4, 8: TARGET.vector_bytes // 8}
_LARGEST_TILE = max(rows * vectors for rows, vectors in TILES) * TARGET.vector_bytes // 4


def _cache_bytes() -> int:
    """Of the second-level cache, which each core has for itself."""
    try:
        size = os.sysconf("SC_LEVEL2_CACHE_SIZE")
    except (AttributeError, OSError, ValueError):
        size = 0
    return size if size > 0 else 512 * 1024


SCRATCH_BYTES = _cache_bytes() // 2
"""A band's scratch takes at most this, unless one row takes more; weights pass through the rest."""

ENOUGH_UNITS = 16
"""Filters are cut into chunks until there are so many units, for the threads to share. It is a
constant so that nothing depends on the number of threads."""


class Axis(NamedTuple):
    """One axis: output ``first + step * u`` sums pixels ``u * stride + m * dilation - pad``."""

    size: int
    """Pixels of the image."""
    outputs: int
    """``u < outputs``."""
    taps: int
    """``m < taps``."""
    stride: int
    dilation: int
    pad: int
    first: int = 0
    step: int = 1
    tap_first: int = 0
    """Tap m is entry ``tap_first + tap_step * m`` of the kernel."""
    tap_step: int = 1


class Weights(NamedTuple):
    """Where a weight lies: ``group * group_step + f * f + c * c + i * i + j * j``."""

    group: int
    f: int
    c: int
    i: int
    j: int


class Sizes(NamedTuple):
    """All that the kernel knows besides the arrays."""

    # what there is
    groups: int
    channels: int  # of x, in a group
    filters: int  # channels of y, in a group
    h: int
    w: int
    y_plane: int
    y_width: int
    weights_group: int
    # rows
    y_row: int
    y_row_step: int
    rows: int  # outputs
    row_stride: int
    row_pad: int
    row_dilation: int
    residues: int
    row_reduced: int  # stride of the undilated convolution of a residue class
    row_phases: int
    # columns
    y_column: int
    y_column_step: int
    columns: int  # outputs
    column_stride: int
    column_pad: int
    # the scratch: (channels, row phases, column phases, scratch_rows, scratch_width)
    scratch_rows: int
    scratch_width: int
    scratch_channel: int
    scratch_size: int
    # the cut
    band: int
    bands: int
    chunk: int
    chunks: int
    kind: int  # of tile
    tile_rows: int
    tile_vectors: int
    lanes: int
    flat: bool  # vectors run on from one row of the scratch into the next
    direct: bool  # vectors lie in y as they lie in the tile


class Tables(NamedTuple):
    """Offsets for the micro-kernel."""

    a_rows: Array  # (filters, with the last repeated): where a filter's weights begin
    out_rows: Array  # as many: where its plane begins
    steps: Array  # (channels * taps, 2): offsets of a weight, and of the pixel it meets
    phases: Array  # the column phases that the scratch keeps


@kernel()
def _correlate(start, stop, x, w, bias, y, a_rows, out_rows, steps, phases, s):
    scratch = np.empty(s.scratch_size, x.dtype)
    tile = np.empty(s.tile_rows * s.tile_vectors * s.lanes, x.dtype)
    tile_rows = np.arange(s.tile_rows) * (s.tile_vectors * s.lanes)
    tile_vectors = np.arange(s.tile_vectors) * s.lanes
    x_vectors = np.empty(s.band * s.scratch_width // s.lanes + s.band + s.tile_vectors, np.int64)
    y_vectors = np.empty_like(x_vectors)
    padded = len(a_rows)
    vectors, filled, placed = 0, -1, 0
    for unit in range(start, stop):
        cell, chunk = divmod(unit, s.chunks)
        rest, band = divmod(cell, s.bands)
        rest, residue = divmod(rest, s.residues)
        image, group = divmod(rest, s.groups)
        t0 = band * s.band
        height = min(s.band, (s.rows - residue + s.residues - 1) // s.residues - t0)
        if height <= 0:
            continue
        if filled != cell:
            first = (image * s.groups + group) * s.channels * s.h * s.w
            fill(scratch, x[first:], residue, t0, phases, s)
            filled = cell
        if placed != height:
            vectors = place(x_vectors, y_vectors, height, s)
            placed = height
        a = w[group * s.weights_group :]
        top = s.y_row + s.y_row_step * (residue + s.residues * t0)
        plane = (image * s.groups + group) * s.filters * s.y_plane
        out = y[plane + top * s.y_width + s.y_column :]
        begin = bias[group * padded :]
        for f in range(chunk * s.chunk, min((chunk + 1) * s.chunk, s.filters), s.tile_rows):
            for v in range(0, vectors, s.tile_vectors):
                if s.direct:
                    multiply(s.kind, a, a_rows, f, scratch, x_vectors, v, steps,
                             out, out_rows, f, y_vectors, v, begin)  # fmt: skip
                else:
                    multiply(s.kind, a, a_rows, f, scratch, x_vectors, v, steps,
                             tile, tile_rows, 0, tile_vectors, 0, begin)  # fmt: skip
                    scatter(tile, out, f, x_vectors, v, height, s)


@rule
def multiply(kind, a, a_rows, i, x, x_vectors, j, steps, out, out_rows, io, out_vectors, jo, start):
    """One tile, of the kind that suits the number of filters."""
    k = len(steps)
    if kind == 0:
        _wide(a, a_rows, i, x, x_vectors, j, steps, 0, k, out, out_rows, io, out_vectors, jo, start)
    elif kind == 1:
        _thin(a, a_rows, i, x, x_vectors, j, steps, 0, k, out, out_rows, io, out_vectors, jo, start)
    else:
        _single(
            a, a_rows, i, x, x_vectors, j, steps, 0, k, out, out_rows, io, out_vectors, jo, start
        )


@rule
def fill(scratch, x, residue, t0, phases, s):
    """Copy the rows that a band reads, phase by phase, with zeros where there is no image."""
    to = 0
    for c in range(s.channels):
        to = c * s.scratch_channel
        for row_phase in range(s.row_phases):
            for phase in phases:
                v0 = (s.column_pad - phase + s.column_stride - 1) // s.column_stride
                v1 = (s.w + s.column_pad - phase + s.column_stride - 1) // s.column_stride
                v0 = min(max(v0, 0), s.scratch_width)
                v1 = min(max(v1, v0), s.scratch_width)
                for r in range(s.scratch_rows):
                    row = (
                        residue * s.row_stride
                        + s.row_dilation * ((t0 + r) * s.row_reduced + row_phase)
                        - s.row_pad
                    )
                    line = scratch[to : to + s.scratch_width]
                    if row < 0 or row >= s.h:
                        line[:] = 0
                    else:
                        line[:v0] = 0
                        line[v1:] = 0
                        first = (c * s.h + row) * s.w + v0 * s.column_stride + phase - s.column_pad
                        copy(line[v0:v1], x[first:], s.column_stride)
                    to += s.scratch_width


@rule
def copy(line, source, step):
    if step == 1:
        for i in range(len(line)):
            line[i] = source[i]
    else:
        for i in range(len(line)):
            line[i] = source[i * step]


@rule
def place(x_vectors, y_vectors, height, s):
    """Where the vectors of a band begin in the scratch and, from the band's first row on, in y.

    Returns their number, made up to whole tiles by repeating the last.
    """
    count = 0
    if s.flat:
        size = height * s.scratch_width
        for position in range(0, size, s.lanes):
            x_vectors[count] = max(min(position, size - s.lanes), 0) if s.direct else position
            count += 1
    else:
        for t in range(height):
            for q in range(0, s.columns, s.lanes):
                at = max(min(q, s.columns - s.lanes), 0)
                x_vectors[count] = t * s.scratch_width + at
                count += 1
    while count % s.tile_vectors != 0:
        x_vectors[count] = x_vectors[count - 1]
        count += 1
    for v in range(count):
        t, q = divmod(x_vectors[v], s.scratch_width)
        y_vectors[v] = t * s.residues * s.y_row_step * s.y_width + q * s.y_column_step
    return count


@rule
def scatter(tile, out, f, x_vectors, v, height, s):
    """Bring a tile to y, lane by lane: vectors may cross the ends of rows."""
    row_step = s.residues * s.y_row_step * s.y_width
    for r in range(min(s.tile_rows, s.filters - f)):
        for vector in range(s.tile_vectors):
            t, q = divmod(x_vectors[v + vector], s.scratch_width)
            lane = 0
            while lane < s.lanes and t < height:
                run = min(s.lanes - lane, s.scratch_width - q)
                at = (r * s.tile_vectors + vector) * s.lanes + lane
                to = (f + r) * s.y_plane + t * row_step + q * s.y_column_step
                for i in range(min(run, s.columns - q)):
                    out[to + i * s.y_column_step] = tile[at + i]
                lane += run
                t, q = t + 1, 0


def correlate(
    x: Array, w: Array, bias: Array | None, y: Array, groups: int, rows: Axis, columns: Axis,
    weights: Weights,
) -> None:  # fmt: skip
    """Fill the outputs of y that the two axes name. x and y are (N, C, H, W)."""
    sizes, tables = _plan(x.shape[1:], y.shape[1:], x.itemsize, groups, rows, columns, weights)
    padded = np.zeros((groups, len(tables.a_rows)), y.dtype)
    if bias is not None:
        last = np.minimum(np.arange(padded.shape[1]), sizes.filters - 1)
        padded[:] = bias.reshape(groups, sizes.filters)[:, last]
    units = x.shape[0] * groups * sizes.residues * sizes.bands * sizes.chunks
    work = (
        x.shape[0]
        * groups
        * sizes.filters
        * rows.outputs
        * columns.outputs
        * len(tables.steps)
        // 8
    )
    launch(_correlate, units, work, x.reshape(-1), w.reshape(-1), padded.reshape(-1),
           y.reshape(-1), *tables, sizes)  # fmt: skip


@functools.lru_cache(maxsize=256)
def _plan(
    x_shape: tuple[int, ...], y_shape: tuple[int, ...], itemsize: int, groups: int,
    rows: Axis, columns: Axis, weights: Weights,
) -> tuple[Sizes, Tables]:  # fmt: skip
    """Lay out the scratch, cut the work into units, and tabulate the offsets."""
    channels, filters = x_shape[0] // groups, y_shape[0] // groups
    lanes = _LANES[itemsize]
    common = math.gcd(rows.stride, rows.dilation)
    residues, reduced = rows.dilation // common, rows.stride // common
    row_phases = max(min(reduced, rows.taps), 1)
    starts = [j * columns.dilation for j in range(columns.taps)]
    phases = sorted({j % columns.stride for j in starts}) or [0]
    halo = max((rows.taps - 1) // row_phases, 0)
    reach = max((j // columns.stride for j in starts), default=0)
    # a row of fewer outputs than lanes is read as if it had as many
    width = max(columns.outputs, 1) + reach
    planes = row_phases * len(phases)
    longest = -(-rows.outputs // residues)  # rows of a residue class

    def cut(band: int, flat: bool, direct: bool, kind: int) -> float:
        """What all bands cost for a filter, in vectors of pixels."""
        tile_rows, tile_vectors = TILES[kind]
        vectors = -(-band * width // lanes) if flat else band * -(-columns.outputs // lanes)
        padded = -(-vectors // tile_vectors) * tile_vectors
        filling = (band + halo) * planes * width / lanes * channels / max(filters, 1)
        steps = max(channels * rows.taps * columns.taps, 1)
        storing = 0 if direct else 3
        waste = -(-filters // tile_rows) * tile_rows / max(filters, 1)
        bands = longest / band
        speed = 1.0 if tile_rows > 1 else 0.5
        return bands * (padded * waste / speed * (steps + 4 + storing) + 2 * filling)

    row_bytes = max(channels * planes * width * itemsize, 1)
    most = max(min(SCRATCH_BYTES // row_bytes - halo, longest), 1)
    dense = columns.step == 1 and width == columns.outputs == y_shape[2] and residues == 1
    dense = dense and rows.step == 1
    best = None
    for band in range(1, most + 1):
        for kind in _KINDS:
            for flat in (False, True):
                if flat:
                    direct = dense and band * width >= lanes
                else:
                    direct = columns.step == 1 and columns.outputs >= lanes
                if flat and direct and longest % band and (longest % band) * width < lanes:
                    direct = False
                cost = cut(band, flat, direct, kind)
                if best is None or cost < best[0]:
                    best = cost, band, kind, flat, direct
    assert best is not None
    _, band, kind, flat, direct = best
    bands = max(-(-longest // band), 1)
    tile_rows, tile_vectors = TILES[kind]
    scratch_rows = band + halo
    scratch_channel = planes * scratch_rows * width
    if scratch_channel * itemsize % 4096 == 0:
        scratch_channel += 64 // itemsize  # or all channels would share a few sets of the cache
    slack = lanes + reach  # vectors may read over the last row's end

    wanted = -(-ENOUGH_UNITS // max(bands * residues * groups, 1))
    blocks = -(-filters // tile_rows)
    chunk = max(-(-blocks // wanted), 8) * tile_rows
    chunks = max(-(-filters // chunk), 1)

    padded = np.minimum(np.arange(blocks * tile_rows), filters - 1)
    c, i, j = np.ogrid[:channels, : rows.taps, : columns.taps]
    at = (
        c * weights.c
        + (rows.tap_first + rows.tap_step * i) * weights.i
        + (columns.tap_first + columns.tap_step * j) * weights.j
    )
    shift, phase = np.divmod(j * columns.dilation, columns.stride)
    place = (i % row_phases) * len(phases) + np.searchsorted(phases, phase)
    meets = c * scratch_channel + (place * scratch_rows + i // row_phases) * width + shift
    steps = np.stack(np.broadcast_arrays(at, meets), -1).reshape(-1, 2)
    plane = y_shape[1] * y_shape[2]
    tables = Tables(
        padded * weights.f,
        padded * plane,
        np.ascontiguousarray(steps, np.int64),
        np.array(phases, np.int64),
    )
    sizes = Sizes(
        groups, channels, filters, x_shape[1], x_shape[2], plane, y_shape[2], weights.group,
        rows.first, rows.step, rows.outputs, rows.stride, rows.pad, rows.dilation, residues,
        reduced, row_phases, columns.first, columns.step, columns.outputs, columns.stride, columns.pad,
        scratch_rows, width, scratch_channel, channels * scratch_channel + slack, band, bands,
        chunk, chunks, kind, tile_rows, tile_vectors, lanes, flat, direct,
    )  # fmt: skip
    return sizes, tables
