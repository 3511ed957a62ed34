"""A sample and the four pixels around it, in an image that has a pixel's channels side by side.

The first of the four has its channels ``at``, the second ``right`` from there, the other two
``down`` from these; the sample has its own ``first``. All channels are treated alike: as many as
make up vectors, then one by one. Offsets are not checked. ::

    f(image, at, right, down, count, sample, first, ...)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter

Body = Callable[[Emitter, list[Any], Any], None]


def _kinds(image, sample):
    return image, *[types.int64] * 4, sample, types.int64


class _Channels:
    """The loops over them."""

    def __init__(self, context, builder, kinds, values):
        image, at, right, down, self.count, sample, first = values[:7]
        self.builder, self.scalar = builder, context.get_value_type(kinds[0].dtype)
        image = context.make_array(kinds[0])(context, builder, image).data
        sample = context.make_array(kinds[5])(context, builder, sample).data
        below = builder.add(at, down)
        places = at, builder.add(at, right), below, builder.add(below, right)
        self.pixels = [builder.gep(image, [place]) for place in places]
        self.sample = builder.gep(sample, [first])

    def emitters(self) -> list[Emitter]:
        """Of vectors, and of numbers."""
        return [Emitter(self.builder, self.scalar, lanes) for lanes in (None, 1)]

    def each(self, body: Body) -> None:
        """``body(emitter, where the channels lie in the four pixels, and in the sample)``."""
        vectors, numbers = self.emitters()
        whole = self.builder.and_(self.count, INT(-vectors.vector.count))
        for emit, begin, end in (vectors, INT(0), whole), (numbers, whole, self.count):
            step = INT(emit.vector.count)
            with cgutils.for_range_slice(self.builder, begin, end, step) as (i, _):
                at = [self.builder.gep(pixel, [i]) for pixel in self.pixels]
                body(emit, at, self.builder.gep(self.sample, [i]))


def _blend(typing, image, at, right, down, count, sample, first, a, b, c, d):
    """Fill the sample: the pixels times their factors."""
    kinds = (*_kinds(image, sample), *[image.dtype] * 4)

    def generate(context, builder, signature, values):
        def body(emit, pixels, place):
            a, b, c, d = (emit.broadcast(factor) for factor in values[7:])
            upper, upper_next, lower, lower_next = (emit.load(pixel) for pixel in pixels)
            total = builder.fmul(a, upper)
            for factor, pixel in (b, upper_next), (c, lower), (d, lower_next):
                total = emit.multiply_add(factor, pixel, total)
            emit.store(total, place)

        _Channels(context, builder, kinds, values).each(body)
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _scatter_add(typing, image, at, right, down, count, sample, first, a, b, c, d):
    """Add the sample times its factors to the pixels."""
    kinds = (*_kinds(image, sample), *[image.dtype] * 4)

    def generate(context, builder, signature, values):
        def body(emit, pixels, place):
            share = emit.load(place)
            for pixel, factor in zip(pixels, values[7:], strict=True):
                total = emit.multiply_add(emit.broadcast(factor), share, emit.load(pixel))
                emit.store(total, pixel)

        _Channels(context, builder, kinds, values).each(body)
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _dots(typing, image, at, right, down, count, sample, first):
    """The sums over channels of the sample times each of the pixels."""
    kinds = _kinds(image, sample)

    def generate(context, builder, signature, values):
        channels = _Channels(context, builder, kinds, values)
        sums = {
            emit.vector.count: [cgutils.alloca_once_value(builder, emit.zero) for _ in range(4)]
            for emit in channels.emitters()
        }

        def body(emit, pixels, place):
            share = emit.load(place)
            for pixel, total in zip(pixels, sums[emit.vector.count], strict=True):
                builder.store(
                    emit.multiply_add(share, emit.load(pixel), builder.load(total)), total
                )

        channels.each(body)
        vectors, numbers = channels.emitters()
        dots = [
            builder.fadd(
                vectors.lane_sum(builder.load(of_vectors)), numbers.lane_sum(builder.load(rest))
            )
            for of_vectors, rest in zip(*sums.values(), strict=True)
        ]
        return context.make_tuple(builder, signature.return_type, dots)

    return types.UniTuple(image.dtype, 4)(*kinds), generate


blend: Any = intrinsic(_blend)
scatter_add: Any = intrinsic(_scatter_add)
dots: Any = intrinsic(_dots)
