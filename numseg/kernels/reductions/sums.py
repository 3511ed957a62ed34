"""Sums along a row, in float64.

The order of a sum is what keeps a compiler from using vector instructions, so these functions
alone allow ``reassoc``: the order is chosen when they are compiled, for the processor they are
compiled for. From then on it depends on nothing but the length of the row, not on the number of
threads and not on where the row lies in memory: none of these loops stores anything, so there
is no choice left to make at run time.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, PREFETCH_BYTES, Emitter
from numseg.kernels.machine.jit import rule

in_compiled_order = functools.partial(rule, fastmath={"contract", "reassoc"})


@in_compiled_order
def row_sum(row):
    total = 0.0
    for i in range(len(row)):
        total += row[i]
    return total


@in_compiled_order
def row_squares(row, center):
    """The sum of ``(row - center)**2``."""
    total = 0.0
    for i in range(len(row)):
        d = row[i] - center
        total += d * d
    return total


@in_compiled_order
def row_product(row, center, other):
    """The sum of ``(row - center) * other``."""
    total = 0.0
    for i in range(len(row)):
        total += (row[i] - center) * other[i]
    return total


@in_compiled_order
def row_product_of_three(row, center, other, third):
    """The sum of ``(row - center) * other * third``."""
    total = 0.0
    for i in range(len(row)):
        total += (row[i] - center) * other[i] * third[i]
    return total


@in_compiled_order
def row_triple(row, other, third):
    """The sum of ``row * other * third``."""
    total = 0.0
    for i in range(len(row)):
        total += row[i] * third[i] * other[i]
    return total


def _two_sums(squares: bool) -> Any:
    """The intrinsic for two sums over rows of 1-D arrays, in float64::

        f(x, other, first, step, rows, count, center)

    ``sum of o`` and ``sum of (x - center) * o``, where o is ``other``, or ``x - center`` too with
    ``squares``, over ``[first + r * step + i]`` for ``r < rows`` and ``i < count``. What a
    row has beyond whole vectors is added up by itself, and each lane of the vectors; in the end
    lanes are added to that in order.
    """

    def sums(typing, x, other, first, step, rows, count, center):
        kinds = x, other, *[types.int64] * 4, types.float64
        result = types.UniTuple(types.float64, 2)

        def generate(context, builder, signature, values):
            arrays = [
                context.make_array(kind)(context, builder, value).data
                for kind, value in zip(kinds[: 1 if squares else 2], values, strict=False)
            ]
            first, step, rows, count = values[2:6]
            emit = Emitter(builder, context.get_value_type(x.dtype))
            lanes = emit.vector.count
            wide = Emitter(builder, ir.DoubleType(), lanes)
            center = wide.broadcast(values[6])
            vectors = [cgutils.alloca_once_value(builder, wide.zero) for _ in range(2)]
            numbers = [cgutils.alloca_once_value(builder, values[6].type(0.0)) for _ in range(2)]

            def meet(met, center, totals):
                if emit.bytes == 4:
                    met = [builder.fpext(value, center.type) for value in met]
                d = builder.fsub(met[0], center)
                o = d if squares else met[1]
                for total, term in zip(totals, (o, builder.fmul(d, o)), strict=True):
                    builder.store(builder.fadd(builder.load(total), term), total)

            whole = builder.and_(count, INT(-lanes))
            with cgutils.for_range(builder, rows) as row:
                at = builder.add(first, builder.mul(row.index, step))
                here = [builder.gep(array, [at]) for array in arrays]
                with cgutils.for_range_slice(builder, INT(0), whole, INT(lanes)) as (i, _):
                    places = [builder.gep(line, [i]) for line in here]
                    for place in places:
                        emit.prefetch(builder.gep(place, [INT(PREFETCH_BYTES // emit.bytes)]))
                    meet([emit.load(place) for place in places], center, vectors)
                with cgutils.for_range_slice(builder, whole, count, INT(1)) as (i, _):
                    places = [builder.gep(line, [i]) for line in here]
                    meet([builder.load(place) for place in places], values[6], numbers)
            sums = []
            for vector, number in zip(vectors, numbers, strict=True):
                vector, total = builder.load(vector), builder.load(number)
                for lane in range(lanes):
                    number = builder.extract_element(vector, ir.IntType(32)(lane))
                    total = builder.fadd(total, number)
                sums.append(total)
            return context.make_tuple(builder, result, sums)

        return result(*kinds), generate

    return intrinsic(sums)


moments, products = _two_sums(True), _two_sums(False)
