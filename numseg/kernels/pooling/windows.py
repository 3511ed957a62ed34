"""Rows of small pooling windows, a vector of outputs at a time.

A tap of all outputs of a vector is every other number of a row of pixels: a load and a shuffle. A
row of outputs has no tail: its last vector ends with it, and writes some outputs twice, with the
same bits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter
from numseg.kernels.machine.vector_copy import interleaved


def winners(size: int) -> Any:
    """The intrinsic for a row of ``count`` maxima, and their places in a plane of x, which begins
    at ``plane``; they go to ``y[out]`` and on, and to ``places[out]``::

        f(x, plane, rows, left, y, places, out, count)

    Windows are ``size`` x ``size``, 2 apart: tap (i, j) of output q is
    ``x[plane + rows[i] + left + 2 * q + j]``. The first of the largest wins, and the last NaN over
    all. So a pixel may come twice in succession: for one off the image the next one on it can
    stand, and does where ``left`` is -1 (of 3 x 3 only). Places are counted by integers as wide as
    a number of x.
    """

    @intrinsic
    def row(typing, x, plane, rows, left, y, places, out, count):
        kinds = x, types.int64, rows, types.int64, y, places, types.int64, types.int64

        def generate(context, builder, signature, values):
            _write_winners(size, context, builder, kinds, values)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return row


def _write_winners(size, context, builder, kinds, values):
    """The body of :func:`winners`."""
    x, rows, y, places = (
        context.make_array(kinds[i])(context, builder, values[i]).data for i in (0, 2, 4, 5)
    )
    plane, left, out, count = (values[i] for i in (1, 3, 6, 7))
    x, y, places = (builder.gep(array, [at]) for array, at in ((x, plane), (y, out), (places, out)))
    emit = Emitter(builder, context.get_value_type(kinds[0].dtype))
    lanes = range(emit.vector.count)
    narrow = ir.IntType(8 * emit.bytes)
    whole = ir.VectorType(narrow, len(lanes))
    wide = ir.VectorType(INT, len(lanes)).as_pointer()

    def number(value):
        return emit.broadcast(value if narrow == INT else builder.trunc(value, narrow))

    firsts = [builder.load(emit.item(rows, INT(0), i)) for i in range(size)]
    firsts = [builder.add(first, left) for first in firsts]
    numbers = [[number(builder.add(f, INT(j))) for j in range(size)] for f in firsts]

    def outputs(q, pixels, places_of):
        """A vector of outputs from the vectors of pixels that are their taps, in order."""
        best, place = pixels[0], places_of[0]
        for value, tap in zip(pixels[1:], places_of[1:], strict=True):
            won = builder.or_(
                builder.fcmp_ordered(">", value, best),
                builder.fcmp_unordered("uno", value, value),
            )
            best, place = builder.select(won, value, best), builder.select(won, tap, place)
        emit.store(best, builder.gep(y, [q]))
        every = ir.Constant(whole, [2 * lane for lane in lanes])
        place = builder.add(builder.add(place, every), number(builder.shl(q, INT(1))))
        place = place if narrow == INT else builder.sext(place, wide.pointee)
        target = builder.bitcast(builder.gep(places, [q]), wide)
        builder.store(place, target, align=8)

    edge = builder.icmp_signed("<", left, INT(0))
    if size == 3:
        with builder.if_then(edge):
            pixels: list[Any] = []
            there: list[Any] = []
            for first, (tap, *others) in zip(firsts, numbers, strict=True):
                at = builder.gep(x, [builder.add(first, INT(1))])
                middle, right = emit.strided(at, 2, 2)
                before = [0, *range(len(lanes), 2 * len(lanes) - 1)]
                pixels += emit.shuffle(middle, right, before), middle, right
                one = ir.Constant(whole, [int(lane == 0) for lane in lanes])
                there += builder.add(tap, one), *others
            outputs(INT(0), pixels, there)
    begin = builder.select(edge, INT(len(lanes)), INT(0))
    with emit.vectors(begin, count) as q:
        moved = builder.shl(q, INT(1))
        pixels = []
        for first in firsts:
            at = builder.gep(x, [builder.add(first, moved)])
            pixels += emit.strided(at, size, 2)
        outputs(q, pixels, [tap for row in numbers for tap in row])


def sums(size: int) -> Any:
    """The intrinsic for ``out[q] = row[2 * q] + ... + row[2 * q + size - 1]``, added up in order,
    of ``count`` outputs, at least a vector::

        f(row, out, count)
    """

    @intrinsic
    def line(typing, row, out, count):
        def generate(context, builder, signature, values):
            here, there = (context.make_array(k)(context, builder, v).data
                           for k, v in zip((row, out), values, strict=False))  # fmt: skip
            emit = Emitter(builder, context.get_value_type(row.dtype))
            with emit.vectors(INT(0), values[2]) as q:
                total, *others = emit.strided(builder.gep(here, [builder.shl(q, INT(1))]), size, 2)
                for tap in others:
                    total = builder.fadd(total, tap)
                emit.store(total, builder.gep(there, [q]))
            return context.get_dummy_value()

        return types.void(row, out, types.int64), generate

    return line


def shares(size: int) -> Any:
    """The transpose of :func:`sums`, and at least ``count`` numbers of each parity::

        f(out, row, count): row[2 * q + j] is the sum of all out[margin + q], j < size

    ``out`` has a margin of a vector of zeros on either side.
    """

    @intrinsic
    def line(typing, out, row, count):
        def generate(context, builder, signature, values):
            here, there = (context.make_array(k)(context, builder, v).data
                           for k, v in zip((out, row), values, strict=False))  # fmt: skip
            emit = Emitter(builder, context.get_value_type(row.dtype))
            lanes = emit.vector.count
            with cgutils.for_range_slice(builder, INT(0), values[2], INT(lanes)) as (q, _):
                at = builder.add(q, INT(lanes))
                odd = even = emit.load(builder.gep(here, [at]))
                if size == 3:  # the window before ends here
                    before = emit.load(builder.gep(here, [builder.sub(at, INT(1))]))
                    even = builder.fadd(before, even)
                first = builder.shl(q, INT(1))
                for half, vector in enumerate(interleaved(emit, [even, odd])):
                    place = builder.add(first, INT(half * lanes))
                    emit.store(vector, builder.gep(there, [place]))
            return context.get_dummy_value()

        return types.void(out, row, types.int64), generate

    return line
