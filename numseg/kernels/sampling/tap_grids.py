"""Samples of an image that are sums over a few rows and columns of pixels each: for grid_sample.

A pixel's channels lie side by side, and rows ``row_step`` numbers apart. Sample p reads T x T
pixels: ``rows`` and ``columns`` have the numbers of T rows and columns for it, and ``by_row`` and
``by_column`` weights; those of a tap are side by side, BLOCK apart from the next one's. Nothing is
checked. Channels are treated alike: as many as make up vectors, then in fours, then one by one.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read

BLOCK = 128
"""Samples of a table."""


class _Sample:
    """One sample: where its rows and columns begin, and weights, as they are loaded."""

    def __init__(self, builder, taps, p, rows, columns, row_step, column_step, *weights):
        self.builder = builder

        def entries(table):
            places = (builder.add(p, INT(t * BLOCK)) for t in range(taps))
            return [builder.load(builder.gep(table, [place])) for place in places]

        self.rows = [builder.mul(builder.sext(row, INT), row_step) for row in entries(rows)]
        self.columns = [
            builder.mul(builder.sext(column, INT), column_step) for column in entries(columns)
        ]
        self.weights = [entries(table) for table in weights]

    def pixels(self, image, channel):
        """Where they are: T rows of T."""
        starts = [self.builder.add(row, channel) for row in self.rows]
        return [
            [self.builder.gep(image, [self.builder.add(start, column)]) for column in self.columns]
            for start in starts
        ]


def _over_channels(builder, scalar, count, body):
    """``body(emitter, first channel)``, vector after vector."""
    begin = INT(0)
    widest = Emitter(builder, scalar)
    for emit in (widest, *([Emitter(builder, scalar, 4)] if widest.vector.count > 4 else []),
                 Emitter(builder, scalar, 1)):  # fmt: skip
        end = builder.and_(count, INT(-emit.vector.count))
        with cgutils.for_range_slice(builder, begin, end, INT(emit.vector.count)) as (channel, _):
            body(emit, channel)
        begin = end


def sampler(taps: int) -> Any:
    """``out[p * channels + c] = sum over rows, columns of weights * image[...]``, ``p < count``."""

    @intrinsic
    def sample(typing, image, rows, columns, by_row, by_column, out, count, row_step, channels):
        number = types.int64
        kinds = (image, rows, columns, by_row, by_column, out, number, number, number)

        def generate(context, builder, signature, values):
            (image, rows, columns, by_row, by_column, out, count, row_step, channels) = read(
                context, builder, kinds, values
            )
            scalar = context.get_value_type(kinds[0].dtype)
            with cgutils.for_range(builder, count, intp=INT) as loop:
                here = _Sample(
                    builder, taps, loop.index, rows, columns, row_step, channels, by_row, by_column
                )
                target = builder.gep(out, [builder.mul(loop.index, channels)])

                def body(emit, channel):
                    of_rows, of_columns = (list(map(emit.broadcast, w)) for w in here.weights)
                    total = emit.zero
                    for weight, row in zip(of_rows, here.pixels(image, channel), strict=True):
                        across = emit.zero
                        for w, pixel in zip(of_columns, row, strict=True):
                            across = emit.multiply_add(w, emit.load(pixel), across)
                        total = emit.multiply_add(weight, across, total)
                    emit.store(total, builder.gep(target, [channel]))

                _over_channels(builder, scalar, channels, body)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return sample


def scatterer(taps: int) -> Any:
    """The transpose: ``image[...] += weights * source[p * channels + c]``, p after p."""

    @intrinsic
    def scatter(typing, image, rows, columns, by_row, by_column, source, count, row_step, channels):
        number = types.int64
        kinds = (image, rows, columns, by_row, by_column, source, number, number, number)

        def generate(context, builder, signature, values):
            image, rows, columns, by_row, by_column, source, count, row_step, channels = read(
                context, builder, kinds, values
            )
            scalar = context.get_value_type(kinds[0].dtype)
            with cgutils.for_range(builder, count, intp=INT) as loop:
                here = _Sample(
                    builder, taps, loop.index, rows, columns, row_step, channels, by_row, by_column
                )
                mine = builder.gep(source, [builder.mul(loop.index, channels)])

                def body(emit, channel):
                    of_rows, of_columns = (list(map(emit.broadcast, w)) for w in here.weights)
                    share = emit.load(builder.gep(mine, [channel]))
                    for weight, row in zip(of_rows, here.pixels(image, channel), strict=True):
                        part = builder.fmul(weight, share)
                        for w, pixel in zip(of_columns, row, strict=True):
                            emit.store(emit.multiply_add(w, part, emit.load(pixel)), pixel)

                _over_channels(builder, scalar, channels, body)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return scatter


def slopes_of(taps: int) -> Any:
    """``out[2 p]`` and ``out[2 p + 1]``: the sums over channels of ``source[p * channels + c]``
    times the sample by the slopes of columns, and by those of rows, in the place of weights."""

    @intrinsic
    def slopes(
        typing, image, rows, columns, by_row, by_column, row_slope, column_slope, source, out,
        count, row_step, channels,
    ):  # fmt: skip
        number = types.int64
        kinds = (image, rows, columns, by_row, by_column, row_slope, column_slope, source, out,
                 number, number, number)  # fmt: skip

        def generate(context, builder, signature, values):
            (image, rows, columns, by_row, by_column, row_slope, column_slope, source, out, count,
             row_step, channels) = read(context, builder, kinds, values)  # fmt: skip
            scalar = context.get_value_type(kinds[0].dtype)
            zero = scalar(0)
            sums = [cgutils.alloca_once(builder, scalar) for _ in range(2)]
            with cgutils.for_range(builder, count, intp=INT) as loop:
                tables = by_row, by_column, row_slope, column_slope
                here = _Sample(
                    builder, taps, loop.index, rows, columns, row_step, channels, *tables
                )
                mine = builder.gep(source, [builder.mul(loop.index, channels)])
                for place in sums:
                    builder.store(zero, place)

                def body(emit, channel):
                    rows, columns, of_rows, of_columns = (
                        list(map(emit.broadcast, w)) for w in here.weights
                    )
                    totals = [emit.zero, emit.zero]
                    pixels = here.pixels(image, channel)
                    for weight, slope, row in zip(rows, of_rows, pixels, strict=True):
                        values = [emit.load(pixel) for pixel in row]
                        for j, (outer, inner) in enumerate(
                            ((weight, of_columns), (slope, columns))
                        ):
                            across = emit.zero
                            for w, value in zip(inner, values, strict=True):
                                across = emit.multiply_add(w, value, across)
                            totals[j] = emit.multiply_add(outer, across, totals[j])
                    share = emit.load(builder.gep(mine, [channel]))
                    for place, total in zip(sums, totals, strict=True):
                        part = emit.lane_sum(builder.fmul(share, total))
                        builder.store(builder.fadd(builder.load(place), part), place)

                _over_channels(builder, scalar, channels, body)
                target = builder.gep(out, [builder.shl(loop.index, INT(1))])
                for j, place in enumerate(sums):
                    builder.store(builder.load(place), builder.gep(target, [INT(j)]))
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return slopes
