"""Sums over taps: what a convolution and its gradient with respect to the image have in common.

    y[n, f, u, v] = bias[f] + sum over c, i, j of  w[f, c, i, j] * x[n, c, u at i, v at j]

Where output (u, v) meets the image at tap (i, j) is said by an :class:`Axis` each for rows and
columns. The work is cut into units: a band of output rows, and a chunk of filters. A unit copies
the band that it reads into its scratch (:mod:`numseg.kernels.conv.packing`); then the micro-kernel
(:mod:`numseg.kernels.machine.micro_kernel`) reads vectors of pixels from the scratch, and the
weights where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    scratch_rows,
    scratch_width,
    tap_offsets,
    taps_on_image,
)
from numseg.kernels.conv.problem import Axis, Correlation, Problem
from numseg.kernels.machine.integers import ceil_div, multiples
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.numbers import as_array, as_fields
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import launch
from numseg.kernels.machine.vector_copy import copy_row
from numseg.kernels.machine.work_units import ENOUGH_UNITS, unevenness
from numseg.typing import Array

TILES = ((8, 3), (4, 6), (1, 8)) if TARGET.registers == 32 else ((4, 3), (2, 6), (1, 8))
"""Filters x vectors of pixels. Nearly all registers are sums. A tile of few filters gets less out
of each vector that it loads, but few filters may be all there are."""

_wide, _thin, _single = (micro_kernel(*tile) for tile in TILES)
_two, _one = (micro_kernel(TILES[0][0], vectors) for vectors in (2, 1))  # what is left of a band


class DirectWork(NamedTuple):
    """How the work is cut, and all else that the kernel knows besides arrays and tables."""

    groups: int
    channels: int  # of x, in a group
    filters: int  # channels of y, in a group
    weights: int  # from a group to the next
    rows: int
    columns: int
    band: int
    bands: int  # in a residue class
    rest: int  # rows of the last one
    places: int
    whole_vectors: int  # how many vectors a whole band has, the last one, and one with a row less
    last_vectors: int
    shorter_vectors: int
    chunk: int  # filters of a unit
    chunks: int
    tile: int  # which of TILES
    tile_filters: int
    tile_vectors: int
    lanes: int
    taps: int  # of a column
    row_taps: int  # steps of a row of taps, all channels
    flat: bool  # vectors run on from one row of the scratch into the next
    direct: bool  # vectors lie in y as they lie in the scratch
    # y: its planes, and from an output to the next
    plane: int
    begin: int
    row_step: int
    column_step: int


class Tables(NamedTuple):
    """Offsets for the micro-kernel."""

    filters: Array
    """(2, filters and repeats of the last): where a filter's weights begin, and where its plane
    does in y."""
    vectors: Array
    """(2, ...): where the vectors of a band begin in the scratch, and in y, from the band's first
    row on: of a whole band, of the last one, and of one with a row less, which some residue classes
    have. Each has ``places`` entries."""
    steps: Array  # (taps and channels, 2): of a weight, and of the pixel it meets


@kernel()
def _correlate(
    start, stop, x, w, bias, y, epilogue, filters, vectors, steps, layout, s
):  # fmt: skip
    layout, s = as_fields(layout, Layout), as_fields(s, DirectWork)
    w_rows, y_rows, x_vectors, y_vectors = filters[0], filters[1], vectors[0], vectors[1]
    counts = s.whole_vectors, s.last_vectors, s.shorter_vectors
    scratch = scratch_for(layout, x)
    tile = np.empty(s.tile_filters * s.tile_vectors * s.lanes, x.dtype)
    tile_rows = multiples(s.tile_filters, s.tile_vectors * s.lanes)
    tile_vectors = multiples(s.tile_vectors, s.lanes)
    sums = np.empty((len(x_vectors), 2), np.int64)  # the steps of the tile at a vector
    filled = -1
    for unit in range(start, stop):
        cell, chunk = divmod(unit, s.chunks)
        rest, band = divmod(cell, s.bands)
        rest, residue = divmod(rest, layout.residues)
        group = rest % s.groups
        t0 = band * s.band
        height = min(s.band, (s.rows - residue + layout.residues - 1) // layout.residues - t0)
        if height <= 0:
            continue
        if filled != cell:
            image = x[rest * s.channels * layout.h * layout.w :]
            pack(scratch, image, s.channels, residue, t0, layout)
            filled = cell
        weights, start_row = w[group * s.weights :], bias[group * len(w_rows) :]
        row = (residue + t0 * layout.residues) * s.row_step
        begin = rest * s.filters * s.plane + s.begin + row
        out = y[begin:]
        first = 0 if height == s.band else (1 + s.rest - height) * s.places
        last = first + counts[first // s.places]
        for v in range(first, last, s.tile_vectors):
            top = x_vectors[v] // layout.width
            bottom = x_vectors[min(v + s.tile_vectors, last) - 1] + s.lanes - 1
            i, end = taps_on_image(t0 + top, t0 + bottom // layout.width, residue, s.taps, layout)
            sums[v, 0], sums[v, 1] = i * s.row_taps, end * s.row_taps
        for f in range(chunk * s.chunk, min((chunk + 1) * s.chunk, s.filters), s.tile_filters):
            for v in range(first, last, s.tile_vectors):
                count = min(s.tile_vectors, last - v)
                k0, k1 = sums[v, 0], sums[v, 1]
                to, to_rows, to_f, to_vectors, to_v = tile, tile_rows, 0, tile_vectors, 0
                if s.direct:
                    to, to_rows, to_f, to_vectors, to_v = out, y_rows, f, y_vectors, v
                run_tile(s.tile, count, (weights, w_rows, f), (scratch, x_vectors, v),
                         (steps, k0, k1), (to, to_rows, to_f, to_vectors, to_v),
                         start_row)  # fmt: skip
                if not s.direct:
                    store_tile(tile, out, f, x_vectors, v, count, height, layout, s)
            if epilogue is not None:
                end = min(f + s.tile_filters, s.filters)
                apply_to_band(out, begin, epilogue, f, end, height, layout, s)


@rule
def apply_to_band(out, begin, epilogue, first, last, height, layout, s):
    """The epilogue of some filters of a band."""
    step, columns = layout.residues * s.row_step, s.columns
    if step == columns:
        height, columns = 1, height * columns
    for t in range(height):
        at = first * s.plane + t * step
        apply_epilogue(out, at, columns, begin + at, last - first, epilogue)


@rule
def run_tile(tile, count, weights, pixels, steps, out, bias):
    """The arguments of the micro-kernel, by what they say where."""
    (w, w_rows, f), (x, x_vectors, v), (k, k0, k1) = weights, pixels, steps
    y, y_rows, yf, y_vectors, yv = out
    if tile == 1:
        _thin(w, w_rows, f, x, x_vectors, v, k, k0, k1, y, y_rows, yf, y_vectors, yv, bias)
    elif tile == 2:
        _single(w, w_rows, f, x, x_vectors, v, k, k0, k1, y, y_rows, yf, y_vectors, yv, bias)
    elif count == 3:
        _wide(w, w_rows, f, x, x_vectors, v, k, k0, k1, y, y_rows, yf, y_vectors, yv, bias)
    elif count == 2:
        _two(w, w_rows, f, x, x_vectors, v, k, k0, k1, y, y_rows, yf, y_vectors, yv, bias)
    else:
        _one(w, w_rows, f, x, x_vectors, v, k, k0, k1, y, y_rows, yf, y_vectors, yv, bias)


@rule
def store_tile(tile, out, f, x_vectors, v, count, height, layout, s):
    """Bring a tile to y. The vectors of a flat band are one run of pixels, which crosses the ends
    of rows; else each is a run within its row."""
    row, size = s.tile_vectors * s.lanes, count * s.lanes
    run = size if s.flat else s.lanes
    for first in range(0, size, run):
        t, q = divmod(x_vectors[v + first // s.lanes], layout.width)
        i = first
        while i < first + run and t < height:
            length = min(first + run - i, s.columns - q)
            place = t * layout.residues * s.row_step + q * s.column_step
            for r in range(min(s.tile_filters, s.filters - f)):
                store_strided(
                    tile, r * row + i, out, (f + r) * s.plane + place, length, s.column_step
                )
            i += layout.width - q if s.flat else s.lanes
            t, q = t + 1, 0


@rule
def store_strided(source, s0, target, t0, count, step):
    """``target[t0 + i * step] = source[s0 + i]``."""
    if step == 1:
        copy_row(source, s0, target, t0, count)
    else:
        for i in range(count):
            target[t0 + i * step] = source[s0 + i]


def forward(p: Problem) -> Correlation:
    """Any convolution. (An epilogue takes axes of step 1; with it, the kernel is another one.)"""
    rows, columns = p.rows, p.columns
    if p.taps == 1 and _whole(rows, p.height) and _whole(columns, p.width):
        rows, columns = _reshaped(rows, columns, p.channels * p.itemsize)
        p = p._replace(rows=rows, columns=columns, height=rows.outputs, width=columns.outputs)
    s, scratch, tables = _plan(p)
    padded = np.arange(p.groups)[:, None] * s.filters
    padded = (padded + np.minimum(np.arange(tables.filters.shape[1]), s.filters - 1)).reshape(-1)
    whole = len(padded) == p.groups * s.filters
    no_bias = np.zeros(len(padded), f"f{p.itemsize}")
    no_bias.flags.writeable = False  # as a given one is, or the kernel would be compiled again
    units = p.images * p.groups * scratch.residues * s.bands * s.chunks
    work = p.images * p.groups * p.filters * rows.outputs * columns.outputs
    work = work * len(tables.steps) // s.lanes
    numbers = as_array(scratch), as_array(s)

    def run(x: Array, w: Array, bias: Array | None, y: Array, epilogue: Epilogue | None) -> None:
        start = no_bias
        if bias is not None:
            start = bias.view() if whole else bias[padded]
            start.flags.writeable = False
        launch(_correlate, units, work, x.reshape(-1), w.reshape(-1), start, y.reshape(-1),
               epilogue, *tables, *numbers)  # fmt: skip

    return run


def _whole(axis: Axis, size: int) -> bool:
    """With one tap: output u is pixel u."""
    return axis.stride == axis.step == 1 and axis.pad == 0 and axis.size == axis.outputs == size


def _reshaped(rows: Axis, columns: Axis, pixel_bytes: int) -> tuple[Axis, Axis]:
    """A plain product does not care for rows: have them as long as there are several to a band."""
    pixels = rows.size * columns.size
    longest = max(SCRATCH_BYTES // (8 * max(pixel_bytes, 1)), 1)
    width = max((d for d in range(1, min(longest, pixels) + 1) if pixels % d == 0), default=1)
    if width < TARGET.vector_bytes:
        width = pixels  # a number with no suitable divisor
    return (
        rows._replace(size=pixels // width, outputs=pixels // width),
        columns._replace(size=width, outputs=width),
    )


def _plan(p: Problem) -> tuple[DirectWork, Layout, Tables]:
    """Cut the work into units, and tabulate the offsets."""
    groups, channels, filters, rows, columns = p[1:6]
    itemsize, y_shape = p.itemsize, p.y_shape[1:]
    lanes = TARGET.vector_bytes // itemsize
    residues = residue_classes(rows)
    crowd = p.images * groups * residues  # units before anything is cut
    pixels, y_pixels = rows.size * columns.size, y_shape[1] * y_shape[2]
    images_bytes = p.images * itemsize
    share = memory_share(groups * channels * pixels * images_bytes,
                         y_shape[0] * y_pixels * images_bytes, min(pixels, y_pixels))  # fmt: skip
    band, tile, flat, direct = _cut(
        rows, columns, channels, filters, y_shape, itemsize, crowd, min(share, SCRATCH_BYTES)
    )
    tile_filters, tile_vectors = TILES[tile]
    blocks = ceil_div(filters, tile_filters)
    longest = ceil_div(rows.outputs, residues)
    bands = ceil_div(longest, band)
    rest = longest - (bands - 1) * band
    chunk = ceil_div(blocks, _chunks(filters, crowd * bands)) * tile_filters

    scratch = layout(rows, columns, channels, band, itemsize)
    pixel = tap_offsets(scratch, rows, columns, channels)
    steps = np.stack([p.weight_offsets(), pixel], -1).reshape(-1, 2)
    filter_or_last = np.minimum(np.arange(blocks * tile_filters), filters - 1)
    _, y_rows, y_columns = y_shape
    plane = y_rows * y_columns
    x_vectors = [
        _vectors(height, columns.outputs, scratch.width, lanes, tile, flat, direct)
        for height in (band, rest, rest - 1)
    ]
    counts = [len(places) for places in x_vectors]
    x_table = np.zeros((3, max(counts)), np.int64)
    for number, places in enumerate(x_vectors):
        x_table[number, : len(places)] = places
    t, q = np.divmod(x_table, scratch.width)
    y_table = t * residues * rows.step * y_columns + q * columns.step
    tables = Tables(
        np.stack([filter_or_last * p.filter_weights, filter_or_last * plane]),
        np.stack([x_table.reshape(-1), y_table.reshape(-1)]), steps.astype(np.int64),
    )  # fmt: skip
    s = DirectWork(
        groups, channels, filters, filters * p.filter_weights, rows.outputs, columns.outputs,
        band, bands, rest, x_table.shape[1], counts[0], counts[1], counts[2],
        chunk, ceil_div(filters, chunk), tile, tile_filters, tile_vectors, lanes,
        rows.taps, channels * columns.taps, flat, direct,
        plane, rows.first * y_columns + columns.first, rows.step * y_columns, columns.step,
    )  # fmt: skip
    return s, scratch, tables


def _vectors(
    height: int, columns: int, width: int, lanes: int, tile: int, flat: bool, direct: bool
) -> Array:
    """Where the vectors of a band of so many rows begin in the scratch.

    A row's last vector ends with the row, even if it overlaps the one before. There is a kernel for
    what is left of the first kind of tile; the others are made up to whole tiles by repeating the
    last vector (by going on, if they are scattered).
    """
    if flat:
        places = np.arange(0, height * width, lanes)
        if direct:
            places = np.minimum(places, height * width - lanes)
    else:
        in_row = np.arange(0, columns, lanes).clip(0, max(columns - lanes, 0))
        places = (np.arange(height)[:, None] * width + in_row).reshape(-1)
    more = np.arange(1, -len(places) % TILES[tile][1] + 1 if tile > 0 else 1)
    return np.concatenate([places, places[-1:] + more * (lanes if flat and not direct else 0)])


MIN_CHUNK = 64
"""Filters of a unit at least: each unit fills a scratch, which takes as long as some of them."""


def _chunks(filters: int, units: int) -> int:
    """Into how many the filters are cut, where there are so many units for each."""
    return max(min(ceil_div(ENOUGH_UNITS, units), filters // MIN_CHUNK), 1)


def _cut(
    rows: Axis, columns: Axis, channels: int, filters: int, y_shape: tuple[int, int, int],
    itemsize: int, crowd: int, room: int,
) -> tuple[int, int, bool, bool]:  # fmt: skip
    """The band's height, the tile, and how vectors lie: what costs least, in cycles. A band takes
    at most ``room`` bytes, or else is one row."""
    lanes, width = TARGET.vector_bytes // itemsize, scratch_width(columns)
    longest = ceil_div(rows.outputs, residue_classes(rows))  # rows of a residue class
    scratch = layout(rows, columns, channels, 1, itemsize)
    row_bytes = max(channels * scratch.channel // scratch.rows * itemsize, 1)
    most = room // row_bytes - (scratch.rows - 1)
    products = channels * rows.taps * columns.taps
    dense = width == columns.outputs == y_shape[2] and residue_classes(rows) == rows.step == 1

    def band_cost(height: int, chunks: int, tile: int, flat: bool, direct: bool) -> float:
        tile_filters, tile_vectors = TILES[tile]
        run = height * width if flat else height * ceil_div(columns.outputs, lanes) * lanes
        vectors, tiles = ceil_div(run, lanes), ceil_div(run, lanes * tile_vectors)
        if tile > 0:
            vectors = tiles * tile_vectors
        speed = 1.0 if tile_filters > 1 else 0.5
        a_sum = products / speed + (8 if direct else 32)
        filling = 4 * scratch_rows(rows, height) * row_bytes / TARGET.vector_bytes
        weights = 4 * filters * products * itemsize / TARGET.vector_bytes
        blocks = ceil_div(filters, tile_filters)
        sums = blocks * (vectors * tile_filters * a_sum + tiles * (products + TILE_CYCLES))
        return sums + weights + chunks * (filling + vectors * PLACE_CYCLES)

    def cost(band: int, tile: int, flat: bool, direct: bool) -> float:
        bands, rest = divmod(longest, band)
        units = crowd * (bands + (rest > 0))
        chunks = _chunks(filters, units)
        total = bands * band_cost(band, chunks, tile, flat, direct)
        if rest > 0:
            total += band_cost(rest, chunks, tile, flat, direct)
        units *= chunks
        return total * unevenness(units)

    def choices() -> Iterator[tuple[float, int, int, bool, bool]]:
        for band in range(1, max(min(most, longest), 1) + 1):
            shortest = longest % band or band
            for tile in range(len(TILES)):
                for flat in (False, True):
                    direct = columns.step == 1 and columns.outputs >= lanes
                    if flat:
                        direct = dense and columns.step == 1 and shortest * width >= lanes
                    yield cost(band, tile, flat, direct), band, tile, flat, direct

    return min(choices())[1:]


TILE_CYCLES = 100
"""What a tile takes besides its steps: it begins by looking up its places, and ends by storing."""

PLACE_CYCLES = 40
"""What a vector takes to find its taps."""
