"""Lines whose numbers are blends of two numbers of another line, a vector at a time.

Where a line is stretched, the numbers that a vector of outputs reads lie within a vector of inputs:
one load brings them, and one instruction deals them out to the lanes that want them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, PREFETCH_BYTES, Emitter, read
from numseg.kernels.machine.target import TARGET
from numseg.typing import Array

_DEAL = {
    ("avx512", 4): ("avx512f", "llvm.x86.avx512.permvar.sf.512"),
    ("avx512", 8): ("avx512f", "llvm.x86.avx512.permvar.df.512"),
    ("avx2", 4): ("avx2", "llvm.x86.avx2.permps"),
}
"""By target and bytes of a number: the CPU's feature and instruction that deals out a vector."""


class Reads(NamedTuple):
    """What vectors of outputs read."""

    start: Array
    """The first output of each vector; the last vector ends with the line."""
    first: Array
    """The first number that it reads."""
    lanes: Array
    """For each output of a vector, how far behind that its number is."""


def reads(number: Array, itemsize: int) -> Reads:
    """For a line whose output q reads ``number[q]`` and the next one. No vectors, where it is
    shorter than one or is not stretched."""
    count = TARGET.vector_bytes // itemsize
    start = np.arange(0, len(number), count)
    if len(number) < count or np.diff(number).max() > 1:
        start = start[:0]
    start = np.minimum(start, len(number) - count)
    first = number[start]
    lanes = number[start[:, None] + np.arange(count)] - first[:, None]
    return Reads(start, first, lanes.astype(f"i{itemsize}").reshape(-1))


def _blend(typing, line, reads, less, more, out):
    """``out[q] = less[q] * line[number[q]] + more[q] * line[number[q] + 1]``. Behind the line there
    must be room for a vector."""
    kinds = line, reads, less, more, out

    def generate(context, builder, signature, values):
        line, less, more, out = (
            context.make_array(kinds[i])(context, builder, values[i]).data for i in (0, 2, 3, 4)
        )
        starts, firsts, lanes = (
            context.make_array(kind)(context, builder, builder.extract_value(values[1], i))
            for i, kind in enumerate(reads.types)
        )
        emit = Emitter(builder, context.get_value_type(kinds[0].dtype))

        with cgutils.for_range(builder, starts.nitems, intp=INT) as loop:
            q, first = (
                builder.load(builder.gep(table.data, [loop.index])) for table in (starts, firsts)
            )
            at = builder.gep(line, [first])
            table = builder.gep(lanes.data, [builder.mul(loop.index, INT(emit.vector.count))])
            left, right = _dealt(emit, at, table), _dealt(emit, emit.item(at, INT(0), 1), table)
            left = builder.fmul(emit.load(builder.gep(less, [q])), left)
            right = builder.fmul(emit.load(builder.gep(more, [q])), right)
            emit.store(builder.fadd(left, right), builder.gep(out, [q]))
        return context.get_dummy_value()

    return types.void(*kinds), generate


blend: Any = intrinsic(_blend)


def _dealt(emit, at, table):
    """The vector of numbers ``at[table[lane]]``, of which all are less than a vector away."""
    builder, count = emit.builder, emit.vector.count
    feature, name = _DEAL.get((TARGET.name, emit.bytes), ("", ""))
    if llvmlite.binding.get_host_cpu_features().get(feature):
        kind = ir.VectorType(ir.IntType(8 * emit.bytes), count)
        lanes = builder.load(builder.bitcast(table, kind.as_pointer()), align=emit.bytes)
        signature = ir.FunctionType(emit.vector, [emit.vector, kind])
        deal = cgutils.get_or_insert_function(builder.module, signature, name)
        return builder.call(deal, [emit.load(at), lanes])
    dealt = ir.Constant(emit.vector, ir.Undefined)
    for lane in range(count):
        place = builder.gep(at, [builder.load(builder.gep(table, [INT(lane)]))])
        dealt = builder.insert_element(dealt, builder.load(place), ir.IntType(32)(lane))
    return dealt


def sharer(rows: int) -> Any:
    """The intrinsic that adds rows to two lines, each row times its numbers for them::

        f(source, s0, step, less, more, p, lines, a, b, count)

    ``lines[a + q] += less[p + i] * source[s0 + i * step + q]`` for ``i < rows``, in order, and
    ``lines[b + q]`` gets ``more[p + i]`` of it; for ``q < count``, and as many more as make up a
    vector. What is added to ``a`` comes first, where it is ``b`` as well.
    """

    @intrinsic
    def share(typing, source, s0, step, less, more, p, lines, a, b, count):
        number = types.int64
        kinds = (source, number, number, less, more, number, lines, number, number, number)

        def generate(context, builder, signature, values):
            source, s0, step, less, more, p, lines, a, b, count = read(
                context, builder, kinds, values
            )
            emit = Emitter(builder, context.get_value_type(kinds[0].dtype))

            def weights(table):
                places = (emit.item(table, p, i) for i in range(rows))
                return [emit.broadcast(builder.load(place)) for place in places]

            places = [builder.add(s0, builder.mul(step, INT(i))) for i in range(rows)]
            targets = [
                (builder.gep(lines, [first]), weights(t)) for first, t in ((a, less), (b, more))
            ]
            lanes = INT(emit.vector.count)
            with cgutils.for_range_slice(builder, INT(0), count, lanes) as (q, _):
                here = [builder.gep(source, [builder.add(place, q)]) for place in places]
                for at in here:
                    emit.prefetch(builder.gep(at, [INT(PREFETCH_BYTES // emit.bytes)]))
                numbers = [emit.load(at) for at in here]
                for line, of_row in targets:
                    total = emit.load(builder.gep(line, [q]))
                    for weight, row in zip(of_row, numbers, strict=True):
                        total = emit.multiply_add(weight, row, total)
                    emit.store(total, builder.gep(line, [q]))
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return share
