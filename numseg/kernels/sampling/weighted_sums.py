"""Weighted sums of pixels whose channels lie side by side: what regions are averaged with."""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read
from numseg.kernels.sampling.channels_last import LANES

GROUP = 8
"""Vectors that are summed up at once: enough that none waits for its last multiply-add. They are
as many pixels at most."""


def _combiner(add: bool) -> Any:
    """The intrinsic for sums over entries e, of pixels of LANES channels, for each ``j < count``::

        out[out_at + j * out_step] =
            sum over first <= e < end of  factor[e] * x[x_at + j * x_step + place[e] * x_unit]

    over ``over``, if that is not None; or, if asked to ``add``, what is there and that. The sum
    runs over e in order, one fused multiply-add at a time. ``count`` is rounded up to a multiple of
    GROUP at most, so there must be room for it, and nothing in it that matters.
    """

    def weighted_sums(
        typing, out, out_at, out_step, factor, place, first, end, x, x_at, x_step, x_unit, count,
        over,
    ):  # fmt: skip
        number = types.int64
        kinds = (out, number, number, factor, place, number, number, x, *[number] * 4, over)

        def generate(context, builder, signature, values):
            (out, out_at, out_step, factor, place, first, end, x, x_at, x_step, x_unit, count,
             over) = read(context, builder, kinds, values)  # fmt: skip
            emit = Emitter(builder, context.get_value_type(kinds[0].dtype))
            lanes = emit.vector.count
            pixels = GROUP * lanes // LANES
            over = None if isinstance(kinds[-1], types.NoneType) else emit.broadcast(over)

            def vectors(base, first, step, j):
                """Those of the pixels from j on."""
                numbers = [builder.add(j, INT(t)) for t in range(pixels)]
                places = [
                    builder.gep(base, [builder.add(first, builder.mul(step, n))]) for n in numbers
                ]
                return [builder.gep(at, [INT(i)]) for at in places for i in range(0, LANES, lanes)]

            def step(e):
                return e, builder.mul(x_unit, builder.load(builder.gep(place, [e])))

            with cgutils.for_range_slice(builder, INT(0), count, INT(pixels)) as (j, _):
                there = vectors(out, out_at, out_step, j)
                starts = [emit.load(at) if add else emit.zero for at in there]
                here = vectors(x, x_at, x_step, j)
                (sums,) = emit.sum([starts], [factor], here, step, first, end)
                for total, at in zip(sums, there, strict=True):
                    emit.store(total if over is None else builder.fdiv(total, over), at)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return intrinsic(weighted_sums)


weighted_sums, add_weighted_sums = _combiner(add=False), _combiner(add=True)
