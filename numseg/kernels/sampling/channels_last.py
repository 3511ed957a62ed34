"""Channels side by side: for kernels that read a few pixels here and there, of many channels alike.

A block of LANES planes is brought into an order in which a pixel's channels are neighbours, so
that what a kernel does to a pixel is one vector operation, wherever the pixel lies. On the way
there and back, squares as wide as a vector are transposed in registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read
from numseg.kernels.machine.jit import rule
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.transpose import transpose_square

LANES = 16
"""Channels in a block: of every float type and target, some whole vectors."""


@rule
def blocks_of(channels):
    return (channels + LANES - 1) // LANES


@rule
def to_channels_last(planes, p0, step, channels, tile, t0, pixels):
    """``tile[t0 + i * LANES + lane] = planes[p0 + lane * step + i]`` for a run of pixels i of up to
    LANES channels, in flat arrays. The last square ends with the run."""
    width = TARGET.vector_bytes // planes.itemsize
    if channels == LANES and pixels >= width:
        for first in range(0, pixels, width):
            i = min(first, pixels - width)
            for lane in range(0, LANES, width):
                transpose_square(planes, p0 + lane * step + i, step,
                                 tile, t0 + i * LANES + lane, LANES)  # fmt: skip
    else:
        for i in range(pixels):  # the other way round LLVM makes a second's work of it
            for lane in range(channels):
                tile[t0 + i * LANES + lane] = planes[p0 + lane * step + i]


@rule
def to_planes(tile, t0, pixels, planes, p0, step, channels):
    """The inverse of ``to_channels_last``."""
    width = TARGET.vector_bytes // planes.itemsize
    if channels == LANES and pixels >= width:
        for first in range(0, pixels, width):
            i = min(first, pixels - width)
            for lane in range(0, LANES, width):
                transpose_square(tile, t0 + i * LANES + lane, LANES,
                                 planes, p0 + lane * step + i, step)  # fmt: skip
    else:
        for i in range(pixels):
            for lane in range(channels):
                planes[p0 + lane * step + i] = tile[t0 + i * LANES + lane]


@rule
def load_rows(planes, p0, step, w, channels, tile, rows, columns):
    """The same of some rows that are ``w`` apart in each plane, one after the other."""
    for r in range(rows):
        to_channels_last(planes, p0 + r * w, step, channels, tile, r * columns * LANES, columns)


@rule
def store_rows(tile, rows, columns, planes, p0, step, w, channels):
    """The inverse of ``load_rows``."""
    for r in range(rows):
        to_planes(tile, r * columns * LANES, columns, planes, p0 + r * w, step, channels)


@rule
def load(planes, r0, r1, s0, s1):
    """The part ``[r0:r1, s0:s1]`` of up to LANES planes, as rows of a new tile."""
    channels, h, w = planes.shape
    tile = np.zeros((r1 - r0, (s1 - s0) * LANES), planes.dtype)
    first, flat = r0 * w + s0, planes.reshape(-1)
    load_rows(flat, first, h * w, w, channels, tile.reshape(-1), r1 - r0, s1 - s0)
    return tile


def _largest(
    typing, tile, first, row_step, rows, columns, lowest, place, row_places, values, places, out
):
    """The largest pixel of a rectangle in each channel, and its place::

        values[out ...], places[out ...] = the first of the largest, and larger than lowest, of
            tile[first + r * row_step + s * LANES ...], at place + r * row_places + s

    for ``r < rows`` and ``s < columns``; if there is none, lowest and -1. NaN is not larger.
    """
    kinds = (tile, *[types.int64] * 4, tile.dtype, types.int64, types.int64, values, places,
             types.int64)  # fmt: skip

    def generate(context, builder, signature, args):
        tile, first, row_step, rows, columns, lowest, place, row_places, values, places, out = read(
            context, builder, kinds, args
        )
        pixels, numbers = (
            Emitter(builder, context.get_value_type(kinds[i].dtype), LANES) for i in (0, 9)
        )
        one = numbers.vector([1] * LANES)
        best = cgutils.alloca_once_value(builder, pixels.broadcast(lowest))
        winner = cgutils.alloca_once_value(builder, numbers.vector([-1] * LANES))
        with cgutils.for_range(builder, rows) as row:
            left = builder.add(first, builder.mul(row.index, row_step))
            number = builder.add(place, builder.mul(row.index, row_places))
            number = numbers.broadcast(builder.trunc(number, numbers.vector.element))
            here = cgutils.alloca_once_value(builder, number)
            with cgutils.for_range(builder, columns) as column:
                at = builder.add(left, builder.mul(column.index, INT(LANES)))
                value, number = pixels.load(builder.gep(tile, [at])), builder.load(here)
                wins = builder.fcmp_ordered(">", value, builder.load(best))
                builder.store(builder.select(wins, value, builder.load(best)), best)
                builder.store(builder.select(wins, number, builder.load(winner)), winner)
                builder.store(builder.add(number, one), here)
        pixels.store(builder.load(best), builder.gep(values, [out]))
        numbers.store(builder.load(winner), builder.gep(places, [out]))
        return context.get_dummy_value()

    return types.void(*kinds), generate


largest: Any = intrinsic(_largest)


def candidate(count: int) -> Any:
    """The intrinsic for a number in each channel that may be the largest so far::

        f(tile, places, weights, number, first, best, winner, out)

    It is the sum of ``weights[i] * tile[places[i] ...]`` in float64, in this order, for
    ``i < count`` (0 if there is none; then both have one item all the same). Where it is larger
    than ``best[out ...]`` or NaN, or the ``first``, it takes that place, and ``winner[out ...]``
    is ``number``.
    """

    @intrinsic
    def look(typing, tile, places, weights, number, first, best, winner, out):
        items = max(count, 1)
        kinds: tuple[Any, ...] = (
            tile, types.UniTuple(types.int64, items), types.UniTuple(types.float64, items),
            types.int64, types.boolean, best, winner, types.int64,
        )  # fmt: skip

        def generate(context, builder, signature, args):
            tile, places, weights, number, first, best, winner, out = read(
                context, builder, kinds, args
            )
            pixels, values, numbers = (
                Emitter(builder, context.get_value_type(kinds[i].dtype), LANES) for i in (0, 5, 6)
            )
            value = values.zero
            for i in range(count):
                place = builder.extract_value(places, i)
                pixel = builder.fpext(pixels.load(builder.gep(tile, [place])), values.vector)
                weight = values.broadcast(builder.extract_value(weights, i))
                product = builder.fmul(weight, pixel)
                value = builder.fadd(value, product) if i else product
            best, winner = builder.gep(best, [out]), builder.gep(winner, [out])
            wins = builder.or_(
                builder.fcmp_ordered(">", value, values.load(best)),
                builder.fcmp_unordered("uno", value, value),
            )
            wins = builder.or_(wins, numbers.broadcast(first))
            values.store(builder.select(wins, value, values.load(best)), best)
            here = builder.select(wins, numbers.broadcast(number), numbers.load(winner))
            numbers.store(here, winner)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return look
