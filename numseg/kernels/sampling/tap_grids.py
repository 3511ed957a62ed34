"""Samples of an image that are sums over a few rows and columns of pixels each: for grid_sample.

A pixel's channels lie side by side. Sample p reads T x T pixels: ``rows`` and ``columns`` have T
offsets for it, of which the sum of one and one is a pixel's place, and ``by_row`` and ``by_column``
weights. Offsets are not checked. Channels are treated alike: as many as make up vectors, then in
fours, then one by one.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read


class _Sample:
    """One sample: its offsets and weights, as they are loaded."""

    def __init__(self, builder, taps, p, rows, columns, *weights):
        self.builder, self.taps = builder, taps
        first = builder.mul(p, INT(taps))

        def entries(table):
            return [
                builder.load(builder.gep(table, [builder.add(first, INT(t))])) for t in range(taps)
            ]

        self.rows, self.columns = entries(rows), entries(columns)
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
    def sample(typing, image, rows, columns, by_row, by_column, out, count, channels):
        number = types.int64
        kinds = (image, rows, columns, by_row, by_column, out, number, number)

        def generate(context, builder, signature, values):
            image, rows, columns, by_row, by_column, out, count, channels = read(
                context, builder, kinds, values
            )
            scalar = context.get_value_type(kinds[0].dtype)
            with cgutils.for_range(builder, count, intp=INT) as loop:
                here = _Sample(builder, taps, loop.index, rows, columns, by_row, by_column)
                target = builder.gep(out, [builder.mul(loop.index, channels)])

                def body(emit, channel):
                    of_rows, of_columns = (map(emit.broadcast, w) for w in here.weights)
                    of_columns = list(of_columns)
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
    def scatter(typing, image, rows, columns, by_row, by_column, source, count, channels):
        number = types.int64
        kinds = (image, rows, columns, by_row, by_column, source, number, number)

        def generate(context, builder, signature, values):
            image, rows, columns, by_row, by_column, source, count, channels = read(
                context, builder, kinds, values
            )
            scalar = context.get_value_type(kinds[0].dtype)
            with cgutils.for_range(builder, count, intp=INT) as loop:
                here = _Sample(builder, taps, loop.index, rows, columns, by_row, by_column)
                mine = builder.gep(source, [builder.mul(loop.index, channels)])

                def body(emit, channel):
                    of_rows, of_columns = (map(emit.broadcast, w) for w in here.weights)
                    of_columns = list(of_columns)
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
        count, channels,
    ):  # fmt: skip
        number = types.int64
        kinds = (image, rows, columns, by_row, by_column, row_slope, column_slope, source, out,
                 number, number)  # fmt: skip

        def generate(context, builder, signature, values):
            (image, rows, columns, by_row, by_column, row_slope, column_slope, source, out, count,
             channels) = read(context, builder, kinds, values)  # fmt: skip
            scalar = context.get_value_type(kinds[0].dtype)
            zero = scalar(0)
            sums = [cgutils.alloca_once(builder, scalar) for _ in range(2)]
            with cgutils.for_range(builder, count, intp=INT) as loop:
                tables = by_row, by_column, row_slope, column_slope
                here = _Sample(builder, taps, loop.index, rows, columns, *tables)
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
