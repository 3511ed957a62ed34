"""Rows of labels as whole vectors: what splatting, blurring and slicing are made of.

A row of a table is made up to whole vectors. A row of values is not: its last vector
begins the next row, too. Read, that is of no account, as lanes never meet; written, it is put right
by the next point. The last row of all is worked on in a copy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read
from numseg.kernels.machine.target import TARGET

MOST_VECTORS = 4
"""That are summed at once, in registers."""


class Lanes(NamedTuple):
    """How many labels are a vector, how many vectors a block, and how many blocks a row. The tuples
    are as long as they say: kernels are compiled for each length."""

    lanes: tuple[int, ...]
    vectors: tuple[int, ...]
    blocks: int
    row: int
    """Numbers in a row of the table."""


def lanes(labels: int, itemsize: int) -> Lanes:
    wide = min(TARGET.vector_bytes // itemsize, max(2, 1 << max(labels - 1, 0).bit_length()))
    vectors = max(-(-labels // wide), 1)
    blocks = -(-vectors // MOST_VECTORS)
    vectors = -(-vectors // blocks)
    return Lanes((0,) * wide, (0,) * vectors, blocks, blocks * vectors * wide)


def _emitter(context: Any, builder: Any, array: Any, lanes: Any) -> Emitter:
    return Emitter(builder, context.get_value_type(array.dtype), lanes.count)


def _corner(emit: Emitter, slots: Any, weights: Any, entry: Any, row: Any) -> tuple[Any, Any]:
    """Where a slot's row is in the table, and a weight in every lane."""
    builder = emit.builder
    slot = builder.sext(builder.load(builder.gep(slots, [entry])), INT)
    weight = emit.broadcast(builder.load(builder.gep(weights, [entry])))
    return builder.mul(slot, row), weight


def _splat_row(
    typing,
    values,
    first,
    scale,
    table,
    column,
    row,
    slots,
    weights,
    entry,
    corners,
    lanes,
    vectors,
):
    """``table[slots[entry + k] * row + column ...] += weights[entry + k] * scale *
    values[first ...]`` for ``k < corners``."""
    kinds = (values, types.int64, values.dtype, table, types.int64, types.int64, slots, weights,
             types.int64, types.int64, lanes, vectors)  # fmt: skip

    def generate(context, builder, signature, args):
        values_, first, scale, table_, column, row, slots_, weights_, entry, corners = read(
            context, builder, kinds[:10], args[:10]
        )
        emit = _emitter(context, builder, values, lanes)
        steps = [INT(i * lanes.count) for i in range(vectors.count)]
        scale = emit.broadcast(scale)
        value = [emit.load(builder.gep(values_, [builder.add(first, step)])) for step in steps]
        value = [builder.fmul(scale, x) for x in value]
        with cgutils.for_range(builder, corners) as loop:
            at, weight = _corner(emit, slots_, weights_, builder.add(entry, loop.index), row)
            at = builder.add(at, column)
            for x, step in zip(value, steps, strict=True):
                place = builder.gep(table_, [builder.add(at, step)])
                emit.store(emit.multiply_add(weight, x, emit.load(place)), place)
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _slice_row(
    typing,
    table,
    column,
    row,
    slots,
    weights,
    entry,
    corners,
    factor,
    out,
    first,
    lanes,
    vectors,
):
    """``out[first ...] = factor * sum of weights[entry + k] * table[slots[entry + k] * row +
    column ...]`` over ``k < corners``."""
    return _sliced(False, table, slots, weights, out, lanes, vectors)


def _add_sliced_row(
    typing,
    table,
    column,
    row,
    slots,
    weights,
    entry,
    corners,
    factor,
    out,
    first,
    lanes,
    vectors,
):
    """The same, added to ``out``."""
    return _sliced(True, table, slots, weights, out, lanes, vectors)


def _sliced(
    adding: bool, table: Any, slots: Any, weights: Any, out: Any, lanes: Any, vectors: Any
) -> Any:
    kinds = (table, types.int64, types.int64, slots, weights, types.int64, types.int64,
             out.dtype, out, types.int64, lanes, vectors)  # fmt: skip

    def generate(context, builder, signature, args):
        table_, column, row, slots_, weights_, entry, corners, factor, out_, first = read(
            context, builder, kinds[:10], args[:10]
        )
        emit = _emitter(context, builder, out, lanes)
        steps = [INT(i * lanes.count) for i in range(vectors.count)]
        sums = [cgutils.alloca_once_value(builder, emit.zero) for _ in steps]
        with cgutils.for_range(builder, corners) as loop:
            at, weight = _corner(emit, slots_, weights_, builder.add(entry, loop.index), row)
            at = builder.add(at, column)
            for total, step in zip(sums, steps, strict=True):
                x = emit.load(builder.gep(table_, [builder.add(at, step)]))
                builder.store(emit.multiply_add(weight, x, builder.load(total)), total)
        factor = emit.broadcast(factor)
        for total, step in zip(sums, steps, strict=True):
            place = builder.gep(out_, [builder.add(first, step)])
            value = builder.load(total)
            emit.store(
                emit.multiply_add(factor, value, emit.load(place))
                if adding
                else builder.fmul(factor, value),
                place,
            )
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _blur_row(typing, table, here, before, after, out, lanes, vectors):
    """``out[here ...] = table[here ...] + (table[before ...] + table[after ...]) / 2``."""
    kinds = table, types.int64, types.int64, types.int64, out, lanes, vectors

    def generate(context, builder, signature, args):
        table_, here, before, after, out_ = read(context, builder, kinds[:5], args[:5])
        emit = _emitter(context, builder, out, lanes)
        half = emit.broadcast(context.get_value_type(out.dtype)(0.5))
        for i in range(vectors.count):
            step = INT(i * lanes.count)
            rows = [builder.gep(table_, [builder.add(a, step)]) for a in (here, before, after)]
            own, a, b = map(emit.load, rows)
            blurred = emit.multiply_add(half, builder.fadd(a, b), own)
            emit.store(blurred, builder.gep(out_, [builder.add(here, step)]))
        return context.get_dummy_value()

    return types.void(*kinds), generate


splat_row: Any = intrinsic(_splat_row)
slice_row: Any = intrinsic(_slice_row)
add_sliced_row: Any = intrinsic(_add_sliced_row)
blur_row: Any = intrinsic(_blur_row)
