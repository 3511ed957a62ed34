"""Convolution as a product of matrices, by tiles, neither of which is ever written out.

A *correlation* is what both conv2d and the gradient of its image are: for every group, filters
times the numbers that taps meet. A row k = (c, i, j) of the second factor is the image read from
one offset on; a table has it, so that no kernel size, dilation or stride is a case of its own. The
filters are brought into the order (groups, k, filters) first, made up to whole tiles by zeros.

The gradient of the weights is such a product too, ``grad_y`` times the numbers that taps meet. Its
sums go over images and pixels; they are cut into parts, by their sizes. Where a pixel's numbers are
is in a table as well.

Whether a tap of a pixel is on the image is one operation on *bits*: a tap has those of its row and
its column, a pixel those of the rows and columns of taps that are beyond the border.

A number is summed by one thread in the order of k, whatever the tile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import int32, int64, uint32, uint64

from numseg.cuda.epilogue import Last, finished
from numseg.cuda.launch import Ints, Kernel, Reals, Tiled, kernel, next_plane, quotient, thread
from numseg.cuda.runtime import cuda, simulated
from numseg.cuda.tensor_cores import PRECISIONS, product_of
from numseg.cuda.tiles import (
    ALIGNED,
    QUAD,
    Product,
    Tile,
    fetch,
    multiply_adds,
    onward,
    put,
    read,
    start,
)

SIDE = 15
"""Rows and columns of taps, at most: as many bits as a number has for each."""

NO_TAP, EVERY = 1 << 2 * SIDE, (2 << 2 * SIDE) - 1
"""The bit of steps that make up whole turns, which all pixels have; and all bits, which pixels have
that make up whole tiles."""


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
    # numbers of an image and of a group of its channels: of grad_y, and of the image
    y_image: int
    y_group: int
    image: int
    group: int
    h: int
    w: int
    sy: int
    sx: int
    terms: int  # pixels of a part


@cuda.jit(device=True)
def _beyond(top: Any, left: Any, h: Any, w: Any, t: Any) -> Any:
    """The bits of the taps that are beyond the border; ``top`` and ``left`` are where a pixel's
    window would begin without padding."""
    bits = int32(NO_TAP)
    i, row = int32(0), int32(top + t.top)
    while i < t.rows:
        if row < 0 or row >= h:
            bits = int32(bits | 1 << i)
        i, row = int32(i + 1), int32(row + t.down)
    i, column = int32(0), int32(left + t.left)
    while i < t.columns:
        if column < 0 or column >= w:
            bits = int32(bits | 1 << (SIDE + i))
        i, column = int32(i + 1), int32(column + t.right)
    return bits


@kernel
def _tabulate(table: Ints, t: Taps) -> None:
    """Of each step, how far its number is from where the window would begin without padding, and
    its bits. A thread owns a step."""
    step, plane = thread()
    if step >= t.steps or plane > 0:
        return
    channel = quotient(step, t.rows * t.columns)
    tap = int32(step - channel * t.rows * t.columns)
    i = quotient(tap, t.columns)
    j = int32(tap - i * t.columns)
    row, column = int32(t.top + i * t.down), int32(t.left + j * t.right)
    table[2 * step] = channel * t.plane + row * t.width + column
    table[2 * step + 1] = (1 << i | 1 << (SIDE + j)) if channel < t.channels else NO_TAP


@kernel
def _tabulate_pixels(pixels: Ints, p: WeightSums, t: Taps) -> None:
    """Of each pixel its image, or -1 if it makes up whole turns; its place in a plane of
    ``grad_y``; its window's in a plane of the image; and the bits of the taps beyond the border."""
    pixel, plane = thread()
    if 4 * pixel >= pixels.size or plane > 0:
        return
    n = quotient(pixel, p.oh * p.ow)
    inside = int32(pixel - n * p.oh * p.ow)
    v = quotient(inside, p.ow)
    top, left = int32(v * p.sy), int32((inside - v * p.ow) * p.sx)
    there = pixel < p.pixels
    pixels[4 * pixel] = n if there else -1
    pixels[4 * pixel + 1] = inside
    pixels[4 * pixel + 2] = top * p.w + left
    pixels[4 * pixel + 3] = _beyond(top, left, p.h, p.w, t) if there else EVERY


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


def correlate_by(product: Product, declared: Tiled, name: str, straight: bool = False) -> Kernel:
    """The kernel of a correlation: a block computes a tile of a group's filters and pixels.

    ``straight`` is for 1 x 1 taps that meet an image of the result's size, planes of a multiple of
    four pixels: four neighbours are loaded at a time, and no table is read.
    """
    tile, a_row, b_row = product.tile, product.left, product.right
    threads, depth, rows, columns = tile.threads, tile.depth, tile.rows, tile.columns
    loads = depth * columns // threads
    quads = depth * rows // threads // QUAD
    half = depth * (a_row + b_row)
    multiply, show, shown, row_of = product.multiply, product.show, product.shown, product.row_of
    left_place, right_place = product.left_place, product.right_place
    shown_place = product.shown_place
    own, brought, both = tile.by_rows * tile.by_columns, quads * QUAD, 2 * half
    apart, pairs, skip = threads // columns, 2 * loads, threads * QUAD // rows

    def correlate(
        packed: Reals,
        table: Ints,
        x: Reals,
        b: Reals,
        y: Reals,
        p: Correlation,
        taps: Taps,
        norms: Reals,
        terms: Reals,
        last: Last,
    ) -> None:
        shared = cuda.shared.array(both, x.dtype, alignment=ALIGNED)
        sums = cuda.local.array(own, x.dtype)
        weights = cuda.local.array(brought, x.dtype)
        numbers = cuda.local.array(loads, x.dtype)
        entries = cuda.local.array(pairs, table.dtype)
        zero = x.dtype.type(0)
        for k in range(own):
            sums[k] = zero
        t, block = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        tiles = quotient(p.padded, rows)
        rest = quotient(block, tiles)
        f0 = int32((block - rest * tiles) * rows)
        group = int32(rest - quotient(rest, p.groups) * p.groups)
        pixel0 = int32(quotient(rest, p.groups) * columns)

        # what this thread loads: the numbers at one pixel, of some steps; or at four, of one step
        if straight:
            load_step = quotient(t * QUAD, columns)
            load_column = int32(t * QUAD - load_step * columns)
        else:
            load_step = int32(quotient(t, columns) * loads)
            load_column = int32(t - quotient(t, columns) * columns)
        pixel = int32(pixel0 + load_column)
        n = quotient(pixel, p.rows * p.columns)
        inside = int32(pixel - n * p.rows * p.columns)
        u = quotient(inside, p.columns)
        top, left = int32(u * p.sy), int32((inside - u * p.columns) * p.sx)
        base = onward(x, start(x, n, p.image), group * p.group + top * p.w + left)
        beyond = int32(EVERY)
        if pixel < p.pixels and not straight:
            beyond = _beyond(top, left, p.h, p.w, taps)
        e = int32(t * QUAD)
        s = quotient(e, rows)
        factors = start(packed, group, p.steps * p.padded)
        factors = onward(packed, factors, f0 + s * p.padded + e - s * rows)
        lines = onward(table, start(table, 0, 0), 2 * load_step)

        a_at, b_at = left_place(t), int32(depth * a_row + right_place(t))
        put_at = int32(s * a_row + e - s * rows)
        now, step, end = int32(0), int32(0), int32(p.steps + depth)
        while step < end:
            if step < p.steps:
                for k in range(quads):
                    place = onward(packed, factors, (step + k * skip) * p.padded)
                    fetch(packed, place, 0, weights, k * QUAD)
                if straight:
                    for k in range(loads):
                        numbers[k] = zero
                    if pixel < p.pixels and step + load_step < p.channels:
                        fetch(x, onward(x, base, (step + load_step) * p.plane), 0, numbers, 0)
                else:
                    line = onward(table, lines, 2 * step)
                    for k in range(loads // 2):
                        fetch(table, line, QUAD * k, entries, QUAD * k)
                    for k in range(loads):
                        number = zero
                        if entries[2 * k + 1] & beyond == 0:
                            number = read(x, onward(x, base, entries[2 * k]))
                        numbers[k] = number
            if step > 0:
                multiply(shared, int32(now + a_at), int32(now + b_at), t, sums)
                now = int32(half - now)
            if step < p.steps:
                for k in range(quads):
                    put(weights, k * QUAD, shared, int32(now + put_at + k * skip * a_row))
                target = int64(now + depth * a_row + load_step * b_row + load_column)
                if straight:
                    put(numbers, 0, shared, target)
                else:
                    for k in range(loads):
                        shared[uint64(target + k * b_row)] = numbers[k]
            cuda.syncthreads()
            step = int32(step + depth)

        # write some rows at a time, neighbouring threads neighbouring pixels
        first = quotient(t, columns)
        column = int32(t - first * columns)
        pixel = int32(pixel0 + column)
        n = quotient(pixel, p.rows * p.columns)
        inside = int32(pixel - n * p.rows * p.columns)
        u = quotient(inside, p.columns)
        place = (n * p.groups + group) * p.filters * p.plane
        place += p.first + u * p.below + (inside - u * p.columns) * p.beside
        mine = shown_place(t)
        part = int32(0)
        while part * shown < rows:
            show(sums, part, shared, mine)
            cuda.syncthreads()
            row = first
            while row < shown and pixel < p.pixels:
                f = int32(f0 + row_of(part, row))
                if f < p.filters:
                    total = shared[uint32(row * columns + column)]
                    channel = int32(group * p.filters + f)
                    if b.size > 0:
                        total += b[channel]
                    at = uint64(place + f * p.plane)
                    y[at] = finished(total, channel, at, norms, terms, last)
                row = int32(row + apart)
            cuda.syncthreads()
            part = int32(part + 1)

    correlate.__name__ = name
    return Kernel(correlate, declared)


def add_weights_by(product: Product, declared: Tiled, name: str) -> Kernel:
    """The kernel of the weights' gradient: a block computes a tile of filters and taps, in one of
    the parts. ``grad_y`` and the image are read along pixels and turned in shared memory, where
    steps lie some numbers further apart than the tile is wide, so that banks do not collide.

    A thread loads the numbers of the same filters and taps in every turn, at one pixel. Of filters
    that are none it loads those of the last one: nobody writes their sums.
    """
    tile, a_row, b_row = product.tile, product.left, product.right
    threads, depth, rows, columns = tile.threads, tile.depth, tile.rows, tile.columns
    a_loads, b_loads = rows * depth // threads, columns * depth // threads
    half = depth * (a_row + b_row)
    multiply, show, shown, row_of = product.multiply, product.show, product.shown, product.row_of
    left_place, right_place = product.left_place, product.right_place
    shown_place = product.shown_place
    own, both, pairs = tile.by_rows * tile.by_columns, 2 * half, 2 * b_loads
    apart = threads // columns

    def add_weights(
        x: Reals, gy: Reals, table: Ints, pixels: Ints, addends: Reals, p: WeightSums
    ) -> None:
        shared = cuda.shared.array(both, x.dtype, alignment=ALIGNED)
        sums = cuda.local.array(own, x.dtype)
        left_numbers = cuda.local.array(a_loads, x.dtype)
        right_numbers = cuda.local.array(b_loads, x.dtype)
        filters = cuda.local.array(a_loads, table.dtype)
        taps = cuda.local.array(pairs, table.dtype)
        pixel = cuda.local.array(QUAD, table.dtype)
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

        lane = quotient(t, depth)
        mine = int32(t - lane * depth)
        for k in range(a_loads):
            f = min(int32(f0 + lane * a_loads + k), int32(p.filters - 1))
            filters[k] = group * p.y_group + f * p.oh * p.ow
        lines = onward(table, start(table, 0, 0), 2 * (j0 + lane * b_loads))
        for k in range(b_loads // 2):
            fetch(table, lines, QUAD * k, taps, QUAD * k)
        for k in range(b_loads):
            taps[2 * k] += group * p.group
        a_at, b_at = left_place(t), int32(depth * a_row + right_place(t))
        now, after = int32(0), int32(end + depth)
        while at < after:
            if at < end:
                fetch(pixels, start(pixels, at + mine, QUAD), 0, pixel, 0)
                source = onward(gy, start(gy, pixel[0], p.y_image), pixel[1])
                for k in range(a_loads):
                    number = zero
                    if pixel[0] >= 0:
                        number = read(gy, onward(gy, source, filters[k]))
                    left_numbers[k] = number
                source = onward(x, start(x, pixel[0], p.image), pixel[2])
                for k in range(b_loads):
                    number = zero
                    if taps[2 * k + 1] & pixel[3] == 0:
                        number = read(x, onward(x, source, taps[2 * k]))
                    right_numbers[k] = number
            if at > begin:
                multiply(shared, int32(now + a_at), int32(now + b_at), t, sums)
                now = int32(half - now)
            if at < end:
                target = int32(now + mine * a_row + lane * a_loads)
                for k in range(a_loads // QUAD):
                    put(left_numbers, k * QUAD, shared, int32(target + k * QUAD))
                target = int32(now + depth * a_row + mine * b_row + lane * b_loads)
                for k in range(b_loads // QUAD):
                    put(right_numbers, k * QUAD, shared, int32(target + k * QUAD))
            cuda.syncthreads()
            at = int32(at + depth)

        first = quotient(t, columns)
        column = int32(t - first * columns)
        j = int32(j0 + column)
        place = shown_place(t)
        shown_part = int32(0)
        while shown_part * shown < rows:
            show(sums, shown_part, shared, place)
            cuda.syncthreads()
            row = first
            while row < shown and j < p.columns:
                f = int32(f0 + row_of(shown_part, row))
                if f < p.filters:
                    weight = (group_part * p.filters + f) * p.columns + j
                    addends[uint64(weight)] = shared[uint32(row * columns + column)]
                row = int32(row + apart)
            cuda.syncthreads()
            shown_part = int32(shown_part + 1)

    add_weights.__name__ = name
    return Kernel(add_weights, declared)


LARGE = Tile(16, 8, 4, 4, 4) if simulated() else Tile(128, 128, 8, 8, 8)
SMALL = Tile(16, 4, 4, 4, 4) if simulated() else Tile(64, 64, 8, 8, 4)
SQUARE = SMALL if simulated() else Tile(64, 64, 8, 8, 8)
"""As large as the small one, with more numbers to a thread: for what loads both factors number by
number, which is more instructions."""
TENSOR = Tile(64, 64, 8, 4, 8) if simulated() else Tile(128, 128, 8, 8, 8)
WARP = (32, 32) if simulated() else (64, 32)


def _large(name: str, straight: bool = False) -> Kernel:
    declared = Tiled(LARGE.threads, 2, 0.8, ("float32",))
    return correlate_by(multiply_adds(LARGE), declared, name, straight)


def _small(name: str, straight: bool = False) -> Kernel:
    return correlate_by(
        multiply_adds(SMALL), Tiled(SMALL.threads, 3, 0.77, share64=0.7), name, straight
    )


def _tensor(blocks: Any, name: str) -> Kernel:
    """The share is of instructions for the tensor cores, each of 32 multiply-adds of a thread."""
    precision = name.rpartition("_")[2]
    declared = Tiled(TENSOR.threads, 1, 0.05, ("float32",))
    return blocks(product_of(TENSOR, WARP, precision), declared, name)


_correlate_large = _large("_correlate_large")
_correlate_small = _small("_correlate_small")
_correlate_straight_large = _large("_correlate_straight_large", True)
_correlate_straight_small = _small("_correlate_straight_small", True)
_add_weights_large = add_weights_by(
    multiply_adds(LARGE, QUAD), Tiled(LARGE.threads, 2, 0.77, ("float32",)), "_add_weights_large"
)
_add_weights_small = add_weights_by(
    multiply_adds(SQUARE, QUAD), Tiled(SQUARE.threads, 4, 0.78, share64=0.74), "_add_weights_small"
)
_correlate_tf32, _correlate_3xtf32 = (
    _tensor(correlate_by, f"_correlate_{precision}") for precision in PRECISIONS
)
_add_weights_tf32, _add_weights_3xtf32 = (
    _tensor(add_weights_by, f"_add_weights_{precision}") for precision in PRECISIONS
)
