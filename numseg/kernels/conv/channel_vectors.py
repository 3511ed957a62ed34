"""Intrinsics of :mod:`numseg.kernels.conv.depthwise_channels`, as LLVM IR: squares of numbers
turned from pixels of a channel to channels of a pixel and back, and rows of outputs."""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read
from numseg.kernels.machine.transpose import turned_square


def _gather_square(typing, x, planes, first, scratch, to, places, at):
    """``scratch[to + places[at + j] + i] = x[planes[i] + first + j]``, a square as wide as a
    vector: of each plane the numbers from ``first`` on, to vectors that lie anywhere."""
    kinds = x, planes, types.int64, scratch, types.int64, places, types.int64

    def generate(context, builder, signature, values):
        x, planes, first, scratch, to, places, at = read(context, builder, kinds, values)
        emit = Emitter(builder, context.get_value_type(kinds[0].dtype))
        x, scratch = builder.gep(x, [first]), builder.gep(scratch, [to])
        lanes = range(emit.vector.count)
        lines = turned_square(emit, [emit.load(emit.place(x, planes, INT(0), i)) for i in lanes])
        for j in lanes:
            emit.store(lines[j], emit.place(scratch, places, at, j))
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _scatter_square(typing, out, first, y, planes, to, count):
    """``y[planes[i] + to + j] = out[first + j * lanes + i]``, ``i < count``, the way back."""
    kinds = out, types.int64, y, planes, types.int64, types.int64

    def generate(context, builder, signature, values):
        out, first, y, planes, to, count = read(context, builder, kinds, values)
        emit = Emitter(builder, context.get_value_type(kinds[0].dtype))
        lanes = emit.vector.count
        lines = [emit.load(emit.item(out, first, j * lanes)) for j in range(lanes)]
        y = builder.gep(y, [to])
        for i, line in enumerate(turned_square(emit, lines)):
            with builder.if_then(builder.icmp_signed("<", INT(i), count)):
                emit.store(line, emit.place(y, planes, INT(0), i))
        return context.get_dummy_value()

    return types.void(*kinds), generate


gather_square: Any = intrinsic(_gather_square)
scatter_square: Any = intrinsic(_scatter_square)


def row_of(outputs: int, stride: int) -> Any:
    """The intrinsic for some outputs of a row, each a vector of channels::

        f(x, x_at, x_step, panel, steps, k0, k1, start, y, y_at, y_step)

        y[y_at + q * y_step] = start + sum over k0 <= k < k1 of
            panel[steps[k, 0]] * x[x_at + q * x_step + steps[k, 1]]

    for ``q < outputs``; the sum is the micro-kernel's. The stride is that of the columns, so that
    addresses are constants apart; 0 for any, which ``x_step`` says.
    """

    def generate_(typing, x, x_at, x_step, panel, steps, k0, k1, start, y, y_at, y_step):
        kinds = (x, types.int64, types.int64, panel, steps, types.int64, types.int64, start,
                 y, types.int64, types.int64)  # fmt: skip

        def generate(context, builder, signature, values):
            x, x_at, x_step, panel, steps, k0, k1, start, y, y_at, y_step = read(
                context, builder, kinds, values
            )
            emit = Emitter(builder, context.get_value_type(kinds[0].dtype))
            if stride:
                x_step = INT(stride * emit.vector.count)
            here = builder.gep(x, [x_at])
            pixels = [builder.gep(here, [builder.mul(x_step, INT(q))]) for q in range(outputs)]

            def step(k):
                entry = builder.gep(steps, [builder.shl(k, INT(1))])
                return builder.load(entry), builder.load(builder.gep(entry, [INT(1)]))

            starts = [[emit.load(start)] * outputs]
            (sums,) = emit.sum(starts, [panel], pixels, step, k0, k1, across=True)
            place = builder.gep(y, [y_at])
            for q, total in enumerate(sums):
                emit.store(total, builder.gep(place, [builder.mul(y_step, INT(q))]))
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return intrinsic(generate_)


def _add_vectors(typing, terms, sums, count):
    """``sums[i] += terms[i]``, for so many vectors."""
    kinds = terms, sums, types.int64

    def generate(context, builder, signature, values):
        terms, sums, count = read(context, builder, kinds, values)
        emit = Emitter(builder, context.get_value_type(kinds[0].dtype))
        lanes = INT(emit.vector.count)
        with cgutils.for_range_slice(builder, INT(0), builder.mul(count, lanes), lanes) as (i, _):
            place = builder.gep(sums, [i])
            total = builder.fadd(emit.load(place), emit.load(builder.gep(terms, [i])))
            emit.store(total, place)
        return context.get_dummy_value()

    return types.void(*kinds), generate


add_vectors: Any = intrinsic(_add_vectors)
