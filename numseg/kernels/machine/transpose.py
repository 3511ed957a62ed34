"""Transposing matrices: squares as wide as a vector in registers, the rest number by number."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter
from numseg.kernels.machine.jit import rule


def turned_square(emit: Emitter, lines: list[Any]) -> list[Any]:
    """The columns of a square whose rows are these vectors."""
    lines, lanes = list(lines), range(emit.vector.count)
    swap = 1
    while swap < len(lanes):  # exchange the off-diagonal quarters of squares twice as wide
        upper = [j if not j & swap else j - swap + len(lanes) for j in lanes]
        lower = [j + swap if not j & swap else j + len(lanes) for j in lanes]
        for i in lanes:
            if not i & swap:
                pair = lines[i], lines[i + swap]
                lines[i], lines[i + swap] = emit.shuffle(*pair, upper), emit.shuffle(*pair, lower)
        swap *= 2
    return lines


def _transpose_square(typing, source, s0, source_step, target, t0, target_step):
    """A square as wide as a vector: ``target[t0 + j * target_step + i] =
    source[s0 + i * source_step + j]``, of 1-D arrays."""
    kinds = source, types.int64, types.int64, target, types.int64, types.int64

    def generate(context, builder, signature, values):
        source_at, target_at = (
            context.make_array(kinds[i])(context, builder, values[i]).data for i in (0, 3)
        )
        emit = Emitter(builder, context.get_value_type(source.dtype))

        def line(base, first, step, number):
            offset = builder.add(first, builder.mul(step, INT(number)))
            return builder.gep(base, [offset])

        lanes = range(emit.vector.count)
        lines = [emit.load(line(source_at, values[1], values[2], i)) for i in lanes]
        lines = turned_square(emit, lines)
        for j in lanes:
            emit.store(lines[j], line(target_at, values[4], values[5], j))
        return context.get_dummy_value()

    return types.void(*kinds), generate


transpose_square: Any = intrinsic(_transpose_square)


@rule
def transpose(source, source_step, rows, columns, target, target_step, lanes):
    """``target[j * target_step + i] = source[i * source_step + j]``."""
    for i0 in range(0, rows, lanes):
        for j0 in range(0, columns, lanes):
            if i0 + lanes <= rows and j0 + lanes <= columns:
                transpose_square(source, i0 * source_step + j0, source_step,
                                 target, j0 * target_step + i0, target_step)  # fmt: skip
                continue
            for i in range(i0, min(i0 + lanes, rows)):
                for j in range(j0, min(j0 + lanes, columns)):
                    target[j * target_step + i] = source[i * source_step + j]
