"""conv2d by tiles on CUDA: which calls suit, and what :mod:`numseg.cuda.implicit_gemm` is told.

All choices are made by sizes alone, and the tile's size changes no bit.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from numseg.cuda import implicit_gemm as gemm
from numseg.cuda.epilogue import Epilogue, nothing
from numseg.cuda.implicit_gemm import (
    LARGE,
    SIDE,
    SMALL,
    TENSOR,
    Correlation,
    Taps,
    WeightSums,
)
from numseg.cuda.launch import LIMIT, Kernel, Split, add_up, fill, launch, launch_blocks
from numseg.cuda.runtime import empty, simulated
from numseg.cuda.tiles import QUAD, Tile, aligned
from numseg.ops.conv2d.geometry import Geometry

FEWEST_FILTERS, FEWEST_STEPS, FEWEST_PIXELS = (2, 2, 3) if simulated() else (16, 16, 64)
"""Of a group, of a sum, and of all images: fewer leave most of the smallest tile empty."""

PHASES = 4 if simulated() else 16
"""Of strides, at most: each takes three launches."""

ENOUGH = 4 if simulated() else 264
"""Blocks that keep a GPU busy: large tiles are for what has as many, and sums are cut for more."""

LONG = 4 if simulated() else 512
"""Pixels of a part of a sum, at least."""


TENSOR_CORES = {
    "tf32": (gemm._correlate_tf32, gemm._add_weights_tf32),
    "3xtf32": (gemm._correlate_3xtf32, gemm._add_weights_3xtf32),
}
"""Of precisions that have names (:mod:`numseg.cuda.tensor_cores`), of float32. No operator asks for
them yet: no GPU has run them."""


class Phase(NamedTuple):
    """Along one axis, pixels a stride apart, and the taps that they meet."""

    first: int
    pixels: int
    tap: int
    taps: int
    output: int
    """What the first tap meets, from the first pixel."""


class Sizes(NamedTuple):
    """What the kernels of a correlation are told. It is made once for each geometry, so that
    launches find it packed."""

    tile: Tile
    taps: Taps
    product: Correlation


def suits_forward(g: Geometry) -> bool:
    steps = g.c // g.groups * g.kh * g.kw
    return _fills(g.f // g.groups, steps, g.n * g.oh * g.ow) and _fits(g, g.f // g.groups, steps)


def suits_grad_x(g: Geometry) -> bool:
    phases, filters = g.sy * g.sx, g.f // g.groups
    fills = _fills(g.c // g.groups, filters * g.kh * g.kw // phases, g.n * g.h * g.w // phases)
    return phases <= PHASES and fills and _fits(g, g.c // g.groups, filters * g.kh * g.kw)


def suits_grad_w(g: Geometry) -> bool:
    pixels = g.n * g.oh * g.ow
    columns = g.c // g.groups * g.kh * g.kw
    return _fills(g.f // g.groups, columns, pixels) and _fits(g, g.f // g.groups, columns)


def _fills(filters: int, steps: int, pixels: int) -> bool:
    return filters >= FEWEST_FILTERS and steps >= FEWEST_STEPS and pixels >= FEWEST_PIXELS


def _fits(g: Geometry, filters: int, steps: int) -> bool:
    """What is counted in 32 bits: an image, all pixels, the weights in whole tiles; and taps that
    have bits enough."""
    weights = g.groups * (filters + LARGE.rows) * (steps + LARGE.columns)
    images = max(g.c * g.h * g.w, g.f * g.oh * g.ow)
    pixels = g.n * max(g.h * g.w, g.oh * g.ow)
    counted = max(weights, images, pixels + LARGE.columns, 4 * steps) < LIMIT // 2
    return counted and max(g.kh, g.kw) <= SIDE


def _up(number: int, whole: int) -> int:
    return -(-number // whole) * whole


def _tile(filters: int, columns: int, groups: int, dtype: Any) -> Tile:
    """The large one if that makes blocks enough; it is one of float32."""
    blocks = -(-filters // LARGE.rows) * -(-columns // LARGE.columns) * groups
    fills = 2 * filters > LARGE.rows and blocks >= ENOUGH
    return LARGE if dtype == np.float32 and fills else SMALL


def _is_straight(g: Geometry) -> bool:
    """Taps of 1 x 1 that meet an image of the result's size."""
    return (g.kh, g.kw, g.sy, g.sx, g.pt, g.pl, g.h, g.w) == (1, 1, 1, 1, 0, 0, g.oh, g.ow)


def forward(
    x: Any, w: Any, b: Any, y: Any, after: Epilogue, g: Geometry, precision: str = ""
) -> None:
    tile = TENSOR if precision else _tile(g.f // g.groups, g.n * g.oh * g.ow, g.groups, y.dtype)
    quads = _is_straight(g) and _in_quads(x, g)
    sizes = _forward_sizes(g, tile)
    _correlate(x, w, b, y, sizes, empty((0,), np.int32), after, _kernel(tile, quads, precision))


def _in_quads(image: Any, g: Geometry) -> bool:
    """Whether four neighbours of a plane can be loaded at a time."""
    return g.oh * g.ow % QUAD == 0 and aligned(image)


def _kernel(tile: Tile, straight: bool, precision: str) -> Kernel:
    if precision:
        return TENSOR_CORES[precision][0]
    if tile == LARGE:
        return gemm._correlate_straight_large if straight else gemm._correlate_large
    return gemm._correlate_straight_small if straight else gemm._correlate_small


@functools.lru_cache(maxsize=256)
def _forward_sizes(g: Geometry, tile: Tile) -> Sizes:
    filters, channels, area = g.f // g.groups, g.c // g.groups, g.kh * g.kw
    taps = Taps(
        filters, _up(filters, tile.rows), g.groups, channels, g.kh, g.kw,
        _up(channels * area, tile.depth),
        0, filters * channels * area, channels * area, area, g.kw, 1,
        -g.pt, -g.pl, g.dy, g.dx, g.h * g.w, g.w,
    )  # fmt: skip
    product = Correlation(
        filters, taps.padded, g.groups, channels * area, taps.steps,
        g.n * g.oh * g.ow, g.oh, g.ow,
        g.c * g.h * g.w, channels * g.h * g.w, g.h, g.w, g.sy, g.sx,
        g.oh * g.ow, 0, g.ow, 1,
    )  # fmt: skip
    return Sizes(tile, taps, product)


def grad_x(w: Any, gy: Any, b: Any, gx: Any, g: Geometry, precision: str = "") -> Any:
    """Returns an array of one number, which is 0 if all weights are finite; None if the result is
    right in any case."""
    straight = _is_straight(g)
    spoiled = empty((0 if straight else 1,), np.int32)
    fill(spoiled, 0)
    for rows in _phases(g.h, g.oh, g.kh, g.sy, g.dy, g.pt):
        for columns in _phases(g.w, g.ow, g.kw, g.sx, g.dx, g.pl):
            pixels = g.n * rows.pixels * columns.pixels
            tile = TENSOR if precision else _tile(g.c // g.groups, pixels, g.groups, gx.dtype)
            sizes = _phase_sizes(g, rows, columns, tile)
            kernel = _kernel(tile, straight and _in_quads(gy, g), precision)
            _correlate(gy, w, b, gx, sizes, spoiled, nothing(gx.dtype), kernel)
    return spoiled if spoiled.size else None


@functools.lru_cache(maxsize=256)
def _phase_sizes(g: Geometry, rows: Phase, columns: Phase, tile: Tile) -> Sizes:
    filters, channels, area = g.f // g.groups, g.c // g.groups, g.kh * g.kw
    pixels = g.n * rows.pixels * columns.pixels
    (down, along), (right, across) = _steps(g.sy, g.dy), _steps(g.sx, g.dx)
    met = filters * rows.taps * columns.taps
    taps = Taps(  # of a phase that no tap meets: one tap, of no channel
        channels, _up(channels, tile.rows), g.groups, filters if met else 0,
        max(rows.taps, 1), max(columns.taps, 1),
        _up(max(met, 1), tile.depth),
        rows.tap * g.kw + columns.tap, filters * channels * area, area, channels * area,
        down * g.kw, right,
        rows.output, columns.output, -along, -across, g.oh * g.ow, g.ow,
    )  # fmt: skip
    product = Correlation(
        channels, taps.padded, g.groups, met, taps.steps,
        pixels, rows.pixels, columns.pixels,
        g.f * g.oh * g.ow, filters * g.oh * g.ow, g.oh, g.ow, 1, 1,
        g.h * g.w, rows.first * g.w + columns.first, g.sy * g.w, g.sx,
    )  # fmt: skip
    return Sizes(tile, taps, product)


def _steps(s: int, d: int) -> tuple[int, int]:
    """From one tap of a phase to the next, and how far back the output is that it meets."""
    common = math.gcd(s, d)
    return s // common, d // common


@functools.lru_cache(maxsize=256)
def _phases(size: int, outputs: int, k: int, s: int, d: int, pad: int) -> list[Phase]:
    """A pixel meets tap i if i * d leaves the same remainder of s as its place, padding counted."""
    found = []
    for remainder in range(s):
        first = (remainder - pad) % s
        step = _steps(s, d)[0]
        tap = next((i for i in range(min(step, k)) if (i * d - remainder) % s == 0), k)
        taps = -(-(k - tap) // step)
        if first < size:
            output = (first + pad - tap * d) // s
            found.append(Phase(first, -(-(size - first) // s), min(tap, k - 1), taps, output))
    return found


def _correlate(
    image: Any,
    w: Any,
    b: Any,
    y: Any,
    sizes: Sizes,
    spoiled: Any,
    after: Epilogue,
    kernel: Kernel,
) -> None:
    tile, taps, product = sizes
    table = empty((2 * taps.steps,), np.int32)
    packed = empty((taps.groups * taps.steps * taps.padded,), y.dtype)
    launch(gemm._tabulate, 1, taps.steps, table, taps)
    launch(gemm._pack, taps.groups * taps.steps, taps.padded, w, packed, spoiled, taps)
    blocks = product.padded // tile.rows * -(-product.pixels // tile.columns) * taps.groups
    launch_blocks(kernel, blocks, packed, table, image, b, y, product, taps, *after)


def grad_w(x: Any, gy: Any, gw: Any, g: Geometry, precision: str = "") -> None:
    columns = g.c // g.groups * g.kh * g.kw
    tile = TENSOR if precision else _tile(g.f // g.groups, columns, g.groups, gw.dtype)
    if precision:
        kernel = TENSOR_CORES[precision][1]
    else:
        kernel = gemm._add_weights_large if tile == LARGE else gemm._add_weights_small
    _add_weights(x, gy, gw, g, tile, kernel)


def _add_weights(x: Any, gy: Any, gw: Any, g: Geometry, tile: Tile, kernel: Kernel) -> None:
    filters, columns = g.f // g.groups, g.c // g.groups * g.kh * g.kw
    count = g.n * g.oh * g.ow
    blocks = -(-filters // tile.rows) * -(-columns // tile.columns) * g.groups
    parts = max(min(4 * ENOUGH // blocks, count // LONG), 1)
    terms = _up(-(-count // parts), tile.depth)
    parts = -(-count // terms)
    addends = gw if parts == 1 else empty((parts, gw.size), gw.dtype)
    taps, product = _weight_sizes(g, tile, terms)
    table = empty((2 * taps.steps,), np.int32)
    pixels = empty((4 * _up(count, tile.depth),), np.int32)
    launch(gemm._tabulate, 1, taps.steps, table, taps)
    launch(gemm._tabulate_pixels, 1, pixels.size // 4, pixels, product, taps)
    launch_blocks(kernel, blocks * parts, x, gy, table, pixels, addends, product)
    add_up(addends, gw, Split(parts, terms))


@functools.lru_cache(maxsize=256)
def _weight_sizes(g: Geometry, tile: Tile, terms: int) -> tuple[Taps, WeightSums]:
    filters, channels, area = g.f // g.groups, g.c // g.groups, g.kh * g.kw
    taps = Taps(
        filters, 0, g.groups, channels, g.kh, g.kw, _up(channels * area, tile.columns),
        0, 0, 0, 0, 0, 0, -g.pt, -g.pl, g.dy, g.dx, g.h * g.w, g.w,
    )  # fmt: skip
    return taps, WeightSums(
        filters, g.groups, channels * area, g.n * g.oh * g.ow, g.oh, g.ow,
        g.f * g.oh * g.ow, filters * g.oh * g.ow,
        g.c * g.h * g.w, channels * g.h * g.w, g.h, g.w, g.sy, g.sx, terms,
    )  # fmt: skip
