"""Rows of labels as whole vectors: what splatting, blurring and slicing are made of.

A row of a table is made up to whole vectors. A row of values is not: its last vector
begins the next row, too. Read, that is of no account, as lanes never meet; written, it is put right
by the next point. The last row of all is worked on in a copy.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read
from numseg.kernels.machine.target import TARGET

MOST_VECTORS = 4
"""That are summed at once, in registers."""


USUAL = (3, 6)
"""Corners of a point in two dimensions, and in five."""


class Lanes(NamedTuple):
    """How many labels are a vector, how many vectors a block, and how many blocks a row. The tuples
    are as long as they say: kernels are compiled for each length."""

    lanes: tuple[int, ...]
    vectors: tuple[int, ...]
    blocks: int
    row: int
    """Numbers in a row of the table."""


def lanes(labels: int, itemsize: int) -> Lanes:
    """Of a vector and half a vector, that which makes the shorter row: 21 labels of float32 are
    three halves of 8, not two vectors of 16 with 11 numbers behind them."""
    wide = min(TARGET.vector_bytes // itemsize, max(2, 1 << max(labels - 1, 0).bit_length()))
    if -(-labels // wide) * wide - labels >= wide // 2 > 1:
        wide //= 2
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


def _over_corners(builder: Any, corners: Any, body: Any) -> None:
    """``body(k)`` for k < corners; without a loop for as many as positions have, and positions and
    colours."""
    usual = builder.append_basic_block("corners.end")
    for count in USUAL:
        here = builder.append_basic_block(f"corners.{count}")
        other = builder.append_basic_block("corners.other")
        builder.cbranch(builder.icmp_signed("==", corners, INT(count)), here, other)
        builder.position_at_end(here)
        for k in range(count):
            body(INT(k))
        builder.branch(usual)
        builder.position_at_end(other)
    with cgutils.for_range(builder, corners) as loop:
        body(loop.index)
    builder.branch(usual)
    builder.position_at_end(usual)


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

        def add(k):
            at, weight = _corner(emit, slots_, weights_, builder.add(entry, k), row)
            at = builder.add(at, column)
            for x, step in zip(value, steps, strict=True):
                place = builder.gep(table_, [builder.add(at, step)])
                emit.store(emit.multiply_add(weight, x, emit.load(place)), place)

        _over_corners(builder, corners, add)
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

        def add(k):
            at, weight = _corner(emit, slots_, weights_, builder.add(entry, k), row)
            at = builder.add(at, column)
            for total, step in zip(sums, steps, strict=True):
                x = emit.load(builder.gep(table_, [builder.add(at, step)]))
                builder.store(emit.multiply_add(weight, x, builder.load(total)), total)

        _over_corners(builder, corners, add)
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


def _add_weight_gradients(
    typing,
    back,
    ahead,
    column,
    row,
    slots,
    weights,
    entry,
    corners,
    after,
    before,
    grad,
    values,
    out,
    first,
    of_weights,
    along,
    at,
    lanes,
    vectors,
):
    """Of a point that slices ``after`` times its weights from the table ``ahead``, where ``grad``
    arrives, and splats ``before`` times its weights times ``values``, to where the gradient is the
    table ``back``: add its weights' gradients to ``of_weights[entry ...]``, to ``along[at]`` and
    ``along[at + 1]`` what those of after and before are, times these; and to ``out[first ...]``
    the gradient of its values."""
    kinds = (back, ahead, types.int64, types.int64, slots, weights, types.int64, types.int64,
             out.dtype, out.dtype, grad, values, out, types.int64, of_weights, along, types.int64,
             lanes, vectors)  # fmt: skip

    def generate(context, builder, signature, args):
        (back_, ahead_, column, row, slots_, weights_, entry, corners, after, before, grad_,
         values_, out_, first, of_weights_, along_, at) = read(
            context, builder, kinds[:17], args[:17]
        )  # fmt: skip
        emit = _emitter(context, builder, out, lanes)
        steps = [INT(i * lanes.count) for i in range(vectors.count)]
        places = [builder.add(first, step) for step in steps]
        after, before = emit.broadcast(after), emit.broadcast(before)
        arrived = [builder.fmul(after, emit.load(builder.gep(grad_, [i]))) for i in places]
        given = [builder.fmul(before, emit.load(builder.gep(values_, [i]))) for i in places]
        sums = [[cgutils.alloca_once_value(builder, emit.zero) for _ in steps] for _ in "ab"]
        with cgutils.for_range(builder, corners) as loop:
            corner = builder.add(entry, loop.index)
            start, weight = _corner(emit, slots_, weights_, corner, row)
            start, dot = builder.add(start, column), emit.zero
            for i, step in enumerate(steps):
                for table, other, total in zip(
                    (ahead_, back_), (arrived, given), sums, strict=True
                ):
                    x = emit.load(builder.gep(table, [builder.add(start, step)]))
                    dot = emit.multiply_add(other[i], x, dot)
                    held = builder.load(total[i])
                    builder.store(emit.multiply_add(weight, x, held), total[i])
            _add_to(builder, of_weights_, corner, emit.lane_sum(dot))
        for number, (other, total) in enumerate(zip((arrived, given), sums, strict=True)):
            dot = emit.zero
            for i in range(len(steps)):
                dot = emit.multiply_add(other[i], builder.load(total[i]), dot)
            _add_to(builder, along_, builder.add(at, INT(number)), emit.lane_sum(dot))
        for i, total in zip(places, sums[1], strict=True):
            place = builder.gep(out_, [i])
            emit.store(emit.multiply_add(before, builder.load(total), emit.load(place)), place)
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _add_to(builder: Any, array: Any, at: Any, number: Any) -> None:
    """To one number of an array, which may be of more digits."""
    place = builder.gep(array, [at])
    if place.type.pointee != number.type:
        number = builder.fpext(number, place.type.pointee)
    builder.store(builder.fadd(builder.load(place), number), place)


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


def _over_row(builder: Any, emit: Emitter, values: Any, first: Any, row: Any) -> Any:
    """A loop over the vectors of a row: their addresses."""

    @contextlib.contextmanager
    def loop() -> Any:
        step = INT(emit.vector.count)
        with cgutils.for_range_slice(builder, INT(0), row, step) as (at, _):
            yield builder.gep(values, [builder.add(first, at)])

    return loop


def _subtract_largest(typing, values, first, row, lanes):
    """From each number of a row, which is whole vectors, the largest."""
    kinds = values, types.int64, types.int64, lanes

    def generate(context, builder, signature, args):
        values_, first, row = read(context, builder, kinds[:3], args[:3])
        emit = _emitter(context, builder, values, lanes)
        low = emit.broadcast(context.get_value_type(values.dtype)(-math.inf))
        top = cgutils.alloca_once_value(builder, low)
        loop = _over_row(builder, emit, values_, first, row)
        with loop() as place:
            builder.store(_larger(builder, emit.load(place), builder.load(top)), top)
        largest = emit.broadcast(_largest_lane(emit, builder.load(top)))
        with loop() as place:
            emit.store(builder.fsub(emit.load(place), largest), place)
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _divide_by_sum(typing, values, first, row, lanes):
    """Each number of a row, which is whole vectors, by the sum of all."""
    kinds = values, types.int64, types.int64, lanes

    def generate(context, builder, signature, args):
        values_, first, row = read(context, builder, kinds[:3], args[:3])
        emit = _emitter(context, builder, values, lanes)
        total = cgutils.alloca_once_value(builder, emit.zero)
        loop = _over_row(builder, emit, values_, first, row)
        with loop() as place:
            builder.store(builder.fadd(builder.load(total), emit.load(place)), total)
        one = context.get_value_type(values.dtype)(1.0)
        share = emit.broadcast(builder.fdiv(one, emit.lane_sum(builder.load(total))))
        with loop() as place:
            emit.store(builder.fmul(emit.load(place), share), place)
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _larger(builder: Any, a: Any, b: Any) -> Any:
    """Of each lane; b where a is NaN."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _largest_lane(emit: Emitter, vector: Any) -> Any:
    """Of halves the larger lanes, then of halves of these."""
    count = emit.vector.count
    while count > 1:
        count //= 2
        halves = (emit.shuffle(vector, vector, range(n, n + count)) for n in (0, count))
        vector = _larger(emit.builder, *halves)
    return emit.builder.extract_element(vector, ir.IntType(32)(0))


splat_row: Any = intrinsic(_splat_row)
slice_row: Any = intrinsic(_slice_row)
add_sliced_row: Any = intrinsic(_add_sliced_row)
add_weight_gradients: Any = intrinsic(_add_weight_gradients)
blur_row: Any = intrinsic(_blur_row)
subtract_largest: Any = intrinsic(_subtract_largest)
divide_by_sum: Any = intrinsic(_divide_by_sum)
