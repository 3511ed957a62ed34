"""grid_sample on CUDA. A thread owns an output pixel, backward one of the grid's places or a pixel.

Which samples a pixel is in, the grid says: all taps of all samples are sorted by pixel, and a pixel
sums its own in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.cuda.launch import Ints, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.runtime import empty
from numseg.cuda.sorting import sorted_places
from numseg.kernels.machine.jit import rule
from numseg.ops.grid_sample.geometry import Geometry
from numseg.ops.grid_sample.rules import settled, spread, tap, tap_slope

TAPS = (2, 1, 4)
"""Along one axis, by mode."""


@rule
def sample(coordinate, size, mode, padding, align):
    """``low``, ``part``, the weight of all pixels, and that of slopes."""
    place, slope = settled(coordinate, size, mode, padding, align)
    low, part, weight = spread(place, size, mode, padding, align)
    return low, part, weight, slope * weight


@kernel
def _forward(x: Reals, grid: Reals, y: Reals, taps: int, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    while plane < g.n * g.c:
        at = 2 * (quotient(plane, g.c) * g.oh * g.ow + pixel)
        top, below, tall, _ = sample(grid[at + 1], g.h, g.mode, g.padding, g.align)
        left, right, wide, _ = sample(grid[at], g.w, g.mode, g.padding, g.align)
        total = x.dtype.type(0)
        for i in range(taps):
            row, by_row = tap(i, top, below, tall, g.h, g.mode, g.padding, g.align)
            if 0 <= row < g.h:
                across = x.dtype.type(0)
                for j in range(taps):
                    column, share = tap(j, left, right, wide, g.w, g.mode, g.padding, g.align)
                    if 0 <= column < g.w:
                        across += share * x[(plane * g.h + row) * g.w + column]
                total += by_row * across
        y[plane * g.oh * g.ow + pixel] = total
        plane = next_plane(plane)


@kernel
def _backward_grid(x: Reals, grid: Reals, gy: Reals, ggrid: Reals, taps: int, g: Geometry) -> None:
    pixel, n = thread()
    if pixel >= g.oh * g.ow:
        return
    while n < g.n:
        at = 2 * (n * g.oh * g.ow + pixel)
        top, below, tall, row_scale = sample(grid[at + 1], g.h, g.mode, g.padding, g.align)
        left, right, wide, column_scale = sample(grid[at], g.w, g.mode, g.padding, g.align)
        by_row_place, by_column_place = x.dtype.type(0), x.dtype.type(0)
        c = int32(0)
        while c < g.c and g.mode != 1:
            plane = n * g.c + c
            down, along = x.dtype.type(0), x.dtype.type(0)
            for i in range(taps):
                row, by_row = tap(i, top, below, tall, g.h, g.mode, g.padding, g.align)
                row_slope = tap_slope(i, below, row_scale, g.mode)
                for j in range(taps):
                    column, share = tap(j, left, right, wide, g.w, g.mode, g.padding, g.align)
                    if 0 <= row < g.h and 0 <= column < g.w:
                        here = x[(plane * g.h + row) * g.w + column]
                        along += by_row * tap_slope(j, right, column_scale, g.mode) * here
                        down += row_slope * share * here
            grad = gy[plane * g.oh * g.ow + pixel]
            by_column_place += grad * along
            by_row_place += grad * down
            c = int32(c + 1)
        ggrid[at], ggrid[at + 1] = by_column_place, by_row_place
        n = next_plane(n)


@kernel
def _list_taps(grid: Reals, keys: Ints, weights: Reals, taps: int, g: Geometry) -> None:
    """Of each tap of each sample, the number of its pixel among those of all images (one more than
    there are for one outside), and its weight."""
    pixel, n = thread()
    if pixel >= g.oh * g.ow:
        return
    while n < g.n:
        place = n * g.oh * g.ow + pixel
        top, below, tall, _ = sample(grid[2 * place + 1], g.h, g.mode, g.padding, g.align)
        left, right, wide, _ = sample(grid[2 * place], g.w, g.mode, g.padding, g.align)
        for i in range(taps):
            row, by_row = tap(i, top, below, tall, g.h, g.mode, g.padding, g.align)
            for j in range(taps):
                column, by_column = tap(j, left, right, wide, g.w, g.mode, g.padding, g.align)
                at = (place * taps + i) * taps + j
                keys[at] = g.n * g.h * g.w
                if 0 <= row < g.h and 0 <= column < g.w:
                    keys[at] = (n * g.h + row) * g.w + column
                weights[at] = by_row * by_column
        n = next_plane(n)


@kernel
def _find_starts(keys: Ints, starts: Ints) -> None:
    """Where each pixel's taps begin among the sorted ones."""
    key, plane = thread()
    if key >= starts.size or plane > 0:
        return
    low, high = int32(0), int32(keys.size)
    while low < high:
        middle = quotient(low + high, 2)
        if keys[middle] < key:
            low = int32(middle + 1)
        else:
            high = middle
    starts[key] = low


@kernel
def _backward_x(
    gy: Reals, places: Ints, starts: Ints, weights: Reals, gx: Reals, taps: int, g: Geometry
) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        n = quotient(plane, g.c)
        key = n * g.h * g.w + pixel
        total = gx.dtype.type(0)
        k = starts[key]
        while k < starts[key + 1]:
            at = places[k]
            output = quotient(at, taps * taps) - n * g.oh * g.ow
            total += weights[at] * gy[plane * g.oh * g.ow + output]
            k = int32(k + 1)
        gx[plane * g.h * g.w + pixel] = total
        plane = next_plane(plane)


def forward(x: Any, grid: Any, y: Any, g: Geometry) -> None:
    launch(_forward, g.n * g.c, g.oh * g.ow, x, grid, y, TAPS[g.mode], g)


def backward(x: Any, grid: Any, gy: Any, gx: Any, ggrid: Any, g: Geometry) -> None:
    taps = TAPS[g.mode]
    if ggrid is not None:
        launch(_backward_grid, g.n, g.oh * g.ow, x, grid, gy, ggrid, taps, g)
    if gx is None or gx.size == 0:
        return
    count, pixels = g.n * g.oh * g.ow * taps * taps, g.n * g.h * g.w
    keys, weights = empty((count,), np.int32), empty((count,), gy.dtype)
    launch(_list_taps, g.n, g.oh * g.ow, grid, keys, weights, taps, g)
    keys, places = sorted_places(keys, pixels + 1)
    starts = empty((pixels + 1,), np.int32)
    launch(_find_starts, 1, pixels + 1, keys, starts)
    launch(_backward_x, g.n * g.c, g.h * g.w, gy, places, starts, weights, gx, taps, g)
