"""Convolution as a product of matrices, by tiles, neither of which is ever written out.

A *correlation* is what both conv2d and the gradient of its image are: for every group, filters
times the numbers that taps meet. A row k = (c, i, j) of the second factor is the image read from
one offset on; a table has it, ``(offset, row, column, 0)``, so that no kernel size, dilation or
stride is a case of its own. The filters are brought into the order (groups, k, filters) first, made
up to whole tiles by zeros.

The gradient of the weights is such a product too, ``grad_y`` times the numbers that taps meet. Its
sums go over images and pixels; they are cut into parts, by their sizes.

A number is summed by one thread in the order of k, whatever the tile.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import int32, int64, uint32, uint64

from numseg.cuda.launch import Ints, Kernel, Reals, Tiled, kernel, next_plane, quotient, thread
from numseg.cuda.runtime import cuda, simulated
from numseg.cuda.tiles import ALIGNED, QUAD, Tile, fetch, multiply_of, put, show_of, shown_rows

FAR = 2**29
"""A row that is on no image: of the steps that make up whole turns."""


class Taps(NamedTuple):
    """Which numbers the steps of a correlation meet, and which weights they are multiplied by."""

    filters: int  # of a group
    padded: int  # made up to whole tiles
    groups: int
    channels: int  # of a group
    rows: int
    columns: int
    steps: int  # channels times rows times columns, made up to whole turns
    # among the weights: the first one, and from one to the next
    first: int
    group: int
    filter: int
    channel: int
    row: int
    column: int
    # on the image: where the first tap is, and from one to the next
    top: int
    left: int
    down: int
    right: int
    plane: int  # numbers of a channel
    width: int  # and of a row


class Correlation(NamedTuple):
    """Sizes of a correlation, and where its numbers are."""

    filters: int
    padded: int
    groups: int
    channels: int  # of a group, times rows and columns of taps
    steps: int
    # pixels of the result, in all images, and rows and columns of each
    pixels: int
    rows: int
    columns: int
    # numbers of an image and of a group of its channels, its size, and the strides
    image: int
    group: int
    h: int
    w: int
    sy: int
    sx: int
    # of the result: numbers of a channel, the first pixel, and from one to the next
    plane: int
    first: int
    below: int
    beside: int


class WeightSums(NamedTuple):
    """Sizes of the weights' gradient, and where its numbers are."""

    filters: int  # of a group
    groups: int
    columns: int  # channels of a group, times rows and columns of taps
    pixels: int  # of all images
    oh: int
    ow: int
    image: int
    group: int
    h: int
    w: int
    sy: int
    sx: int
    terms: int  # pixels of a part
    # a turn's pixels as images, rows and columns
    images_on: int
    rows_on: int
    columns_on: int


@kernel
def _tabulate(table: Ints, t: Taps) -> None:
    """A thread owns a step."""
    step, plane = thread()
    if step >= t.steps or plane > 0:
        return
    channel = quotient(step, t.rows * t.columns)
    tap = int32(step - channel * t.rows * t.columns)
    i = quotient(tap, t.columns)
    row, column = int32(t.top + i * t.down), int32(t.left + (tap - i * t.columns) * t.right)
    table[4 * step] = channel * t.plane + row * t.width + column
    table[4 * step + 1] = row if channel < t.channels else FAR
    table[4 * step + 2] = column
    table[4 * step + 3] = 0


@kernel
def _pack(w: Reals, packed: Reals, spoiled: Ints, t: Taps) -> None:
    """A thread owns a filter's weight at a step. ``spoiled`` is set if one is not finite, where
    somebody asks."""
    filter, plane = thread()
    if filter >= t.padded:
        return
    while plane < t.groups * t.steps:
        group = quotient(plane, t.steps)
        step = int32(plane - group * t.steps)
        channel = quotient(step, t.rows * t.columns)
        tap = int32(step - channel * t.rows * t.columns)
        i = quotient(tap, t.columns)
        weight = packed.dtype.type(0)
        if filter < t.filters and channel < t.channels:
            at = t.first + group * t.group + filter * t.filter + channel * t.channel
            weight = w[at + i * t.row + (tap - i * t.columns) * t.column]
            if spoiled.size > 0 and weight - weight != packed.dtype.type(0):
                spoiled[0] = 1
        packed[plane * t.padded + filter] = weight
        plane = next_plane(plane)


def correlate_by(tile: Tile, declared: Tiled, name: str, straight: bool = False) -> Kernel:
    """The kernel of a correlation: a block computes a tile of a group's filters and pixels.

    ``straight`` is for 1 x 1 taps that meet an image of the result's size, planes of a multiple of
    four pixels: four neighbours are loaded at a time, and no table is read.
    """
    threads, depth, rows, columns = tile.threads, tile.depth, tile.rows, tile.columns
    across, down = columns // tile.by_columns, rows // tile.by_rows
    loads = depth * columns // threads
    quads = depth * rows // threads // QUAD
    apart = threads // columns  # steps between a thread's loads
    half = depth * (rows + columns)
    multiply, show = multiply_of(tile, rows, columns), show_of(tile)
    shown = shown_rows(tile)
    parts = tile.by_rows // shown
    own, brought, both = tile.by_rows * tile.by_columns, quads * QUAD, 2 * half

    def correlate(packed: Reals, table: Ints, x: Reals, b: Reals, y: Reals, p: Correlation) -> None:
        shared = cuda.shared.array(both, x.dtype, alignment=ALIGNED)
        sums = cuda.local.array(own, x.dtype)
        weights = cuda.local.array(brought, x.dtype)
        numbers = cuda.local.array(loads, x.dtype)
        entry = cuda.local.array(QUAD, table.dtype)
        zero = x.dtype.type(0)
        for k in range(own):
            sums[k] = zero
        t, block = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        tiles = quotient(p.padded, rows)
        rest = quotient(block, tiles)
        f0 = int32((block - rest * tiles) * rows)
        group = int32(rest - quotient(rest, p.groups) * p.groups)
        pixel0 = int32(quotient(rest, p.groups) * columns)

        # what this thread loads: the numbers at one pixel, or at four
        each = QUAD if straight else 1
        load_step = quotient(t * each, columns)
        load_column = int32(t * each - load_step * columns)
        pixel = int32(pixel0 + load_column)
        n = quotient(pixel, p.rows * p.columns)
        inside = int32(pixel - n * p.rows * p.columns)
        u = quotient(inside, p.columns)
        top, left = int32(u * p.sy), int32((inside - u * p.columns) * p.sx)
        base = n * p.image + group * p.group + top * p.w + left
        height = uint32(p.h) if pixel < p.pixels else uint32(0)
        first = group * p.steps * p.padded + f0

        a_at = int32(quotient(t, across) * QUAD)
        b_at = int32(depth * rows + (t - quotient(t, across) * across) * QUAD)
        now, step = int32(0), int32(0)
        while step < p.steps + depth:
            if step < p.steps:
                for k in range(quads):
                    e = int32((t + k * threads) * QUAD)
                    s = quotient(e, rows)
                    at = first + (step + s) * p.padded + int32(e - s * rows)
                    fetch(packed, uint64(at), weights, k * QUAD)
                if straight:
                    for k in range(loads):
                        numbers[k] = zero
                    if pixel < p.pixels and step + load_step < p.channels:
                        fetch(x, uint64(base + (step + load_step) * p.plane), numbers, 0)
                else:
                    line = int64(QUAD * (step + load_step))
                    for k in range(loads):
                        fetch(table, uint64(line + QUAD * k * apart), entry, 0)
                        number = zero
                        row, column = uint32(top + entry[1]), uint32(left + entry[2])
                        if row < height and column < uint32(p.w):
                            number = x[uint64(base + entry[0])]
                        numbers[k] = number
            if step > 0:
                multiply(shared, int32(now + a_at), int32(now + b_at), sums)
                now = int32(half - now)
            if step < p.steps:
                for k in range(quads):
                    put(weights, k * QUAD, shared, int32(now + (t + k * threads) * QUAD))
                target = int64(now + depth * rows + load_step * columns + load_column)
                if straight:
                    put(numbers, 0, shared, target)
                else:
                    for k in range(loads):
                        shared[uint64(target + k * apart * columns)] = numbers[k]
            cuda.syncthreads()
            step = int32(step + depth)

        # write some rows at a time, neighbouring threads neighbouring pixels
        start = quotient(t, columns)
        column = int32(t - start * columns)
        pixel = int32(pixel0 + column)
        n = quotient(pixel, p.rows * p.columns)
        inside = int32(pixel - n * p.rows * p.columns)
        u = quotient(inside, p.columns)
        place = (n * p.groups + group) * p.filters * p.plane
        place += p.first + u * p.below + (inside - u * p.columns) * p.beside
        mine = int32(quotient(t, across) * columns + b_at - depth * rows)
        part = int32(0)
        while part < parts:
            show(sums, part, shared, mine)
            cuda.syncthreads()
            row = start
            while row < shown * down and pixel < p.pixels:
                i = int32(part * shown + quotient(row, down))
                square = quotient(i, QUAD)
                f = int32(f0 + (square * down + row - quotient(row, down) * down) * QUAD)
                f = int32(f + i - square * QUAD)
                if f < p.filters:
                    total = shared[uint32(row * columns + column)]
                    if b.size > 0:
                        total += b[group * p.filters + f]
                    y[uint64(place + f * p.plane)] = total
                row = int32(row + apart)
            cuda.syncthreads()
            part = int32(part + 1)

    correlate.__name__ = name
    return Kernel(correlate, declared)


def add_weights_by(tile: Tile, declared: Tiled, name: str) -> Kernel:
    """The kernel of the weights' gradient: a block computes a tile of filters and taps, in one of
    the parts. ``grad_y`` and the image are read along pixels and turned in shared memory, where
    steps lie four numbers further apart than the tile is wide, so that banks do not collide.
    """
    threads, depth, rows, columns = tile.threads, tile.depth, tile.rows, tile.columns
    across, down = columns // tile.by_columns, rows // tile.by_rows
    apart = threads // depth
    a_loads, b_loads = rows // apart, columns // apart
    a_row, b_row = rows + QUAD, columns + QUAD
    half = depth * (a_row + b_row)
    multiply, show = multiply_of(tile, a_row, b_row), show_of(tile)
    shown = shown_rows(tile)
    parts, down_step = tile.by_rows // shown, threads // columns
    own, both = tile.by_rows * tile.by_columns, 2 * half

    def add_weights(x: Reals, gy: Reals, table: Ints, addends: Reals, p: WeightSums) -> None:
        shared = cuda.shared.array(both, x.dtype, alignment=ALIGNED)
        sums = cuda.local.array(own, x.dtype)
        left_numbers = cuda.local.array(a_loads, x.dtype)
        right_numbers = cuda.local.array(b_loads, x.dtype)
        entry = cuda.local.array(QUAD, table.dtype)
        zero = x.dtype.type(0)
        for k in range(own):
            sums[k] = zero
        t, block = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        tiles = quotient(p.filters + rows - 1, rows)
        rest = quotient(block, tiles)
        f0 = int32((block - rest * tiles) * rows)
        tiles = quotient(p.columns + columns - 1, columns)
        group_part = quotient(rest, tiles)
        j0 = int32((rest - group_part * tiles) * columns)
        part = quotient(group_part, p.groups)
        group = int32(group_part - part * p.groups)
        at, end = int32(part * p.terms), int32(min((part + 1) * p.terms, p.pixels))
        begin = at

        # the pixel whose numbers this thread loads, in so many rows of both factors
        lane = quotient(t, depth)
        pixel = int32(at + t - lane * depth)
        plane = int32(p.oh * p.ow)
        n = quotient(pixel, plane)
        v = quotient(pixel - n * plane, p.ow)
        q = int32(pixel - n * plane - v * p.ow)
        a_at = int32(quotient(t, across) * QUAD)
        b_at = int32(depth * a_row + (t - quotient(t, across) * across) * QUAD)
        line = int64(QUAD * (j0 + lane))
        now = int32(0)
        while at < end + depth:
            if at < end:
                there = pixel < end
                source = (n * p.groups + group) * p.filters * plane + v * p.ow + q
                for k in range(a_loads):
                    number = zero
                    if there and f0 + lane + k * apart < p.filters:
                        number = gy[uint64(source + (f0 + lane + k * apart) * plane)]
                    left_numbers[k] = number
                top, left = int32(v * p.sy), int32(q * p.sx)
                height = uint32(p.h) if there else uint32(0)
                base = n * p.image + group * p.group + top * p.w + left
                for k in range(b_loads):
                    fetch(table, uint64(line + QUAD * k * apart), entry, 0)
                    number = zero
                    row, column = uint32(top + entry[1]), uint32(left + entry[2])
                    if row < height and column < uint32(p.w):
                        number = x[uint64(base + entry[0])]
                    right_numbers[k] = number
                pixel, q = int32(pixel + depth), int32(q + p.columns_on)
                v, n = int32(v + p.rows_on), int32(n + p.images_on)
                if q >= p.ow:
                    q, v = int32(q - p.ow), int32(v + 1)
                if v >= p.oh:
                    v, n = int32(v - p.oh), int32(n + 1)
            if at > begin:
                multiply(shared, int32(now + a_at), int32(now + b_at), sums)
                now = int32(half - now)
            if at < end:
                target = int64(now + (t - lane * depth) * a_row + lane)
                for k in range(a_loads):
                    shared[uint64(target + k * apart)] = left_numbers[k]
                target = int64(now + depth * a_row + (t - lane * depth) * b_row + lane)
                for k in range(b_loads):
                    shared[uint64(target + k * apart)] = right_numbers[k]
            cuda.syncthreads()
            at = int32(at + depth)

        start = quotient(t, columns)
        column = int32(t - start * columns)
        j = int32(j0 + column)
        mine = int32(quotient(t, across) * columns + b_at - depth * a_row)
        shown_part = int32(0)
        while shown_part < parts:
            show(sums, shown_part, shared, mine)
            cuda.syncthreads()
            row = start
            while row < shown * down and j < p.columns:
                i = int32(shown_part * shown + quotient(row, down))
                square = quotient(i, QUAD)
                f = int32(f0 + (square * down + row - quotient(row, down) * down) * QUAD)
                f = int32(f + i - square * QUAD)
                if f < p.filters:
                    weight = (group_part * p.filters + f) * p.columns + j
                    addends[uint64(weight)] = shared[uint32(row * columns + column)]
                row = int32(row + down_step)
            cuda.syncthreads()
            shown_part = int32(shown_part + 1)

    add_weights.__name__ = name
    return Kernel(add_weights, declared)


LARGE = Tile(16, 8, 4, 4, 4) if simulated() else Tile(128, 128, 8, 8, 8)
SMALL = Tile(16, 4, 4, 4, 4) if simulated() else Tile(64, 64, 8, 8, 4)


def _large(share: float) -> Tiled:
    return Tiled(LARGE.threads, 2, share, ("float32",))


def _small(share: float) -> Tiled:
    return Tiled(SMALL.threads, 3, share)


_correlate_large = correlate_by(LARGE, _large(0.75), "_correlate_large")
_correlate_small = correlate_by(SMALL, _small(0.64), "_correlate_small")
_correlate_straight_large = correlate_by(LARGE, _large(0.8), "_correlate_straight_large", True)
_correlate_straight_small = correlate_by(SMALL, _small(0.7), "_correlate_straight_small", True)
_add_weights_large = add_weights_by(LARGE, _large(0.69), "_add_weights_large")
_add_weights_small = add_weights_by(SMALL, _small(0.5), "_add_weights_small")
