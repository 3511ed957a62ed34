"""conv2d by tiles on CUDA: which calls suit, and what :mod:`numseg.cuda.implicit_gemm` is told.

All choices are made by sizes alone, and the tile's size changes no bit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from numseg.cuda import implicit_gemm as gemm
from numseg.cuda.implicit_gemm import LARGE, SMALL, Correlation, Taps, WeightSums
from numseg.cuda.launch import LIMIT, Split, add_up, fill, launch, launch_blocks
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


class Phase(NamedTuple):
    """Along one axis, pixels a stride apart, and the taps that they meet."""

    first: int
    pixels: int
    tap: int
    taps: int
    output: int
    """What the first tap meets, from the first pixel."""


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
    """What is counted in 32 bits: an image, all pixels, the weights in whole tiles."""
    weights = g.groups * (filters + LARGE.rows) * (steps + LARGE.columns)
    images = max(g.c * g.h * g.w, g.f * g.oh * g.ow)
    pixels = g.n * max(g.h * g.w, g.oh * g.ow)
    return max(weights, images, pixels + LARGE.columns, 4 * steps) < LIMIT // 2


def _up(number: int, whole: int) -> int:
    return -(-number // whole) * whole


def _tile(filters: int, columns: int, groups: int, dtype: Any) -> Tile:
    """The large one if that makes blocks enough; it is one of float32."""
    blocks = -(-filters // LARGE.rows) * -(-columns // LARGE.columns) * groups
    fills = 2 * filters > LARGE.rows and blocks >= ENOUGH
    return LARGE if dtype == np.float32 and fills else SMALL


def forward(x: Any, w: Any, b: Any, y: Any, g: Geometry) -> None:
    filters, channels, area = g.f // g.groups, g.c // g.groups, g.kh * g.kw
    tile = _tile(filters, g.n * g.oh * g.ow, g.groups, y.dtype)
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
    straight = area == 1 and (g.sy, g.sx, g.pt, g.pl, g.h, g.w) == (1, 1, 0, 0, g.oh, g.ow)
    _correlate(x, w, b, y, taps, product, tile, straight, empty((0,), np.int32))


def grad_x(w: Any, gy: Any, b: Any, gx: Any, g: Geometry) -> Any:
    """Returns an array of one number, which is 0 if all weights are finite; None if the result is
    right in any case."""
    filters, channels, area = g.f // g.groups, g.c // g.groups, g.kh * g.kw
    straight = area == 1 and (g.sy, g.sx, g.pt, g.pl, g.h, g.w) == (1, 1, 0, 0, g.oh, g.ow)
    spoiled = empty((0 if straight else 1,), np.int32)
    fill(spoiled, 0)
    for rows in _phases(g.h, g.oh, g.kh, g.sy, g.dy, g.pt):
        for columns in _phases(g.w, g.ow, g.kw, g.sx, g.dx, g.pl):
            pixels = g.n * rows.pixels * columns.pixels
            tile = _tile(channels, pixels, g.groups, gx.dtype)
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
            _correlate(gy, w, b, gx, taps, product, tile, straight, spoiled)
    return spoiled if spoiled.size else None


def _steps(s: int, d: int) -> tuple[int, int]:
    """From one tap of a phase to the next, and how far back the output is that it meets."""
    common = math.gcd(s, d)
    return s // common, d // common


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
    taps: Taps,
    product: Correlation,
    tile: Tile,
    straight: bool,
    spoiled: Any,
) -> None:
    table = empty((QUAD * taps.steps,), np.int32)
    packed = empty((taps.groups * taps.steps * taps.padded,), y.dtype)
    launch(gemm._tabulate, 1, taps.steps, table, taps)
    launch(gemm._pack, taps.groups * taps.steps, taps.padded, w, packed, spoiled, taps)
    straight = straight and product.plane % QUAD == 0 and aligned(image)
    large = tile == LARGE
    if straight:
        kernel = gemm._correlate_straight_large if large else gemm._correlate_straight_small
    else:
        kernel = gemm._correlate_large if large else gemm._correlate_small
    tiles = product.padded // tile.rows * -(-product.pixels // tile.columns)
    launch_blocks(kernel, tiles * taps.groups, packed, table, image, b, y, product)


def grad_w(x: Any, gy: Any, gw: Any, g: Geometry) -> None:
    filters, channels, area = g.f // g.groups, g.c // g.groups, g.kh * g.kw
    pixels, columns = g.n * g.oh * g.ow, channels * area
    tile = _tile(filters, columns, g.groups, gw.dtype)
    blocks = -(-filters // tile.rows) * -(-columns // tile.columns) * g.groups
    parts = max(min(4 * ENOUGH // blocks, pixels // LONG), 1)
    terms = _up(-(-pixels // parts), tile.depth)
    parts = -(-pixels // terms)
    addends = gw if parts == 1 else empty((parts, gw.size), gw.dtype)
    taps = Taps(
        filters, 0, g.groups, channels, g.kh, g.kw, _up(columns, tile.columns),
        0, 0, 0, 0, 0, 0, -g.pt, -g.pl, g.dy, g.dx, g.h * g.w, g.w,
    )  # fmt: skip
    table = empty((QUAD * taps.steps,), np.int32)
    launch(gemm._tabulate, 1, taps.steps, table, taps)
    product = WeightSums(
        filters, g.groups, columns, pixels, g.oh, g.ow,
        g.c * g.h * g.w, channels * g.h * g.w, g.h, g.w, g.sy, g.sx, terms,
        tile.depth // (g.oh * g.ow), tile.depth // g.ow % g.oh, tile.depth % g.ow,
    )  # fmt: skip
    kernel = gemm._add_weights_large if tile == LARGE else gemm._add_weights_small
    launch_blocks(kernel, blocks * parts, x, gy, table, addends, product)
    add_up(addends, gw, Split(parts, terms))
