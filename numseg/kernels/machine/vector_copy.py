"""Runs of numbers, moved by whole vectors: what fills a scratch, line after line.

A line is often but a few vectors long, so a call of ``memcpy`` or ``memset`` for each part of it
would take longer than the work. Offsets are not checked.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter
from numseg.kernels.machine.jit import rule


def _line(context: Any, builder: Any, kind: Any, array: Any, first: Any) -> Any:
    """The address of an element of a 1-D array."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [first])


def _clear_rows(typing, target, t0, t_step, rows, count):
    """``target[t0 + r * t_step + i] = 0``, ``r < rows``, ``i < count``."""
    kinds = target, *[types.int64] * 4

    def generate(context, builder, signature, values):
        target_, t0, t_step, rows, count = values
        emit = Emitter(builder, context.get_value_type(target.dtype))
        with cgutils.for_range(builder, rows) as loop:
            first = builder.add(t0, builder.mul(loop.index, t_step))
            line = _line(context, builder, target, target_, first)
            _run(emit, line, count, lambda i: emit.zero, lambda i: emit.zero.type.element(0.0))
        return context.get_dummy_value()

    return types.void(*kinds), generate


clear_rows: Any = intrinsic(_clear_rows)


def _run(emit: Emitter, line: Any, count: Any, vector: Any, number: Any) -> None:
    """Store what is made for i, a vector or a number, at ``line + i``, ``i < count``."""
    builder = emit.builder
    whole = builder.icmp_signed(">=", count, INT(emit.vector.count))
    with builder.if_else(whole) as (vectors, numbers):
        with vectors, emit.vectors(INT(0), count) as i:
            emit.store(vector(i), builder.gep(line, [i]))
        with numbers, cgutils.for_range(builder, count) as loop:
            builder.store(number(loop.index), builder.gep(line, [loop.index]))


def _copy_rows(step: int) -> Any:
    """The intrinsic for ``target[t0 + r * t_step + i] = source[s0 + r * s_step + i * step]``,
    ``r < rows``, ``i < count``, step 1 or 2."""

    def take(typing, source, s0, s_step, target, t0, t_step, rows, count):
        kinds = source, types.int64, types.int64, target, *[types.int64] * 4

        def generate(context, builder, signature, values):
            source_, s0, s_step, target_, t0, t_step, rows, count = values
            emit = Emitter(builder, context.get_value_type(source.dtype))

            def every_row(copy):
                with cgutils.for_range(builder, rows) as loop:
                    first = builder.add(s0, builder.mul(loop.index, s_step))
                    here = _line(context, builder, source, source_, first)
                    first = builder.add(t0, builder.mul(loop.index, t_step))
                    copy(here, _line(context, builder, target, target_, first))

            _by_length(emit, count, every_row, step)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return intrinsic(take)


copy_rows, copy_every_second = _copy_rows(1), _copy_rows(2)


UNROLLED = 3
"""Vectors of a line, at most, that are copied one by one, without a loop."""


def _by_length(emit: Emitter, count: Any, every_row: Any, step: int) -> None:
    """Copy ``count`` numbers of every row. What code does it is chosen once, not for every row: a
    loop over vectors, a few of them, or, of less than one, two halves (or quarters ...) that
    overlap."""
    builder, lanes = emit.builder, emit.vector.count

    def taken(part, at):
        """As many numbers as ``part`` has lanes, ``step`` apart."""
        count = part.vector.count
        first = part.load(at)
        if step == 1 or count == 1:
            return first
        # the second begins a number early: nothing is read beyond the last taken
        second = part.load(builder.gep(at, [INT(count - 1)]))
        picked = [k if k < count else k + 1 for k in range(0, 2 * count, 2)]
        return part.shuffle(first, second, picked)

    def move(part, here, there, i):
        at = builder.gep(here, [builder.mul(i, INT(step))])
        part.store(taken(part, at), builder.gep(there, [i]))

    def some(part, vectors):
        """The last vector ends with the row."""
        width = part.vector.count
        last = builder.sub(count, INT(width))
        every_row(lambda here, there: [
            move(part, here, there, INT(v * width)) for v in range(vectors - 1)
        ] + [move(part, here, there, last)])  # fmt: skip

    def loop(here, there):
        with emit.vectors(INT(0), count) as i:
            move(emit, here, there, i)

    def choose(cases):
        """The first whose bound the count is above."""
        (bound, copy), *others = cases
        above = builder.icmp_signed(">", count, INT(bound))
        if not others:
            with builder.if_then(above):
                copy()
            return
        with builder.if_else(above) as (yes, no):
            with yes:
                copy()
            with no:
                choose(others)

    cases = [(UNROLLED * lanes, lambda: every_row(loop))]
    for v in range(UNROLLED, 1, -1):
        cases.append(((v - 1) * lanes, functools.partial(some, emit, v)))
    cases.append((lanes - 1, lambda: some(emit, 1)))
    width = lanes // 2
    while width > 0:
        part = Emitter(builder, emit.vector.element, width)
        cases.append((width - 1, functools.partial(some, part, 2)))
        width //= 2
    choose(cases)


UNROLLED_MOVES = 6


def _copy_pieces(
    typing, source, s0, s_step, lines, starts, taps, target, t0, t_step, places, pieces
):  # fmt: skip
    """A line of ``target`` for each line of ``source`` and each tap, put together of pieces::

        target[t0 + (r * len(taps) + j) * t_step + places[m] + ...] =
            source[s0 + r * s_step + taps[j] + starts[m] + ...]

    ``r < lines``, ``m < pieces``. A piece is a vector. It may run on over the begin of the next
    one, or of the next line: both are written later, in this order.
    """
    kinds = (source, types.int64, types.int64, types.int64, starts, taps, target, types.int64,
             types.int64, places, types.int64)  # fmt: skip

    def generate(context, builder, signature, values):
        source_, s0, s_step, lines, starts_, taps_, target_, t0, t_step, places_, pieces = values
        emit = Emitter(builder, context.get_value_type(source.dtype))
        starts_at, taps_at, places_at = (
            context.make_array(kind)(context, builder, value).data
            for kind, value in ((starts, starts_), (taps, taps_), (places, places_))
        )
        count = builder.extract_value(context.make_array(taps)(context, builder, taps_).shape, 0)
        from_, to = (
            _line(context, builder, source, source_, s0),
            _line(context, builder, target, target_, t0),
        )

        def entry(table, m):
            return builder.load(builder.gep(table, [m]))

        def every_line(copy):
            with cgutils.for_range(builder, lines) as line:
                here = builder.gep(from_, [builder.mul(line.index, s_step)])
                first = builder.mul(line.index, count)
                with cgutils.for_range(builder, count) as tap:
                    number = builder.add(first, tap.index)
                    copy(
                        builder.gep(here, [entry(taps_at, tap.index)]),
                        builder.gep(to, [builder.mul(number, t_step)]),
                    )

        def move(here, there, start, place):
            emit.store(emit.load(builder.gep(here, [start])), builder.gep(there, [place]))

        def unrolled(number):
            pairs = [(entry(starts_at, INT(m)), entry(places_at, INT(m))) for m in range(number)]

            def copy(here, there):
                for start, place in pairs:
                    move(here, there, start, place)

            every_line(copy)

        def loop(here, there):
            with cgutils.for_range(builder, pieces) as m:
                move(here, there, entry(starts_at, m.index), entry(places_at, m.index))

        def choose(number):
            if number > UNROLLED_MOVES:
                every_line(loop)
                return
            with builder.if_else(builder.icmp_signed("==", pieces, INT(number))) as (yes, no):
                with yes:
                    unrolled(number)
                with no:
                    choose(number + 1)

        choose(3)
        return context.get_dummy_value()

    return types.void(*kinds), generate


copy_pieces: Any = intrinsic(_copy_pieces)


@rule
def copy_row(source, s0, target, t0, count):
    """``target[t0 + i] = source[s0 + i]``, ``i < count``."""
    copy_rows(source, s0, 0, target, t0, 0, 1, count)


def _make_run(emit: Emitter, line: Any, count: Any, make: Any) -> None:
    """The same for what is made alike of vectors and of numbers: ``make(i, load, spread)``."""
    builder = emit.builder
    _run(emit, line, count, lambda i: make(i, emit.load, emit.broadcast),
         lambda i: make(i, builder.load, lambda number: number))  # fmt: skip


def _sum_rows(typing, source, s0, step, rows, target, t0, count):
    """``target[t0 + i] = 0 + source[s0 + i] + source[s0 + step + i] + ...``, ``i < count``, as many
    as there are rows."""
    kinds = source, types.int64, types.int64, types.int64, target, types.int64, types.int64

    def generate(context, builder, signature, values):
        source_, s0, step, rows, target_, t0, count = values
        here = _line(context, builder, source, source_, s0)
        emit = Emitter(builder, context.get_value_type(source.dtype))

        def total(i, load, spread):
            zero = spread(emit.vector.element(0.0))
            total = cgutils.alloca_once_value(builder, zero)

            def add(before, number):
                row = builder.gep(here, [builder.add(builder.mul(number, step), i)])
                return builder.fadd(before, load(row))

            some = [builder.icmp_signed("==", rows, INT(number)) for number in (2, 3)]
            for number, these in enumerate(some, 2):  # each row is a stream that a CPU can foresee
                with builder.if_then(these):
                    builder.store(functools.reduce(add, map(INT, range(number)), zero), total)
            others = builder.select(builder.or_(*some), INT(0), rows)
            with cgutils.for_range(builder, others) as loop:
                builder.store(add(builder.load(total), loop.index), total)
            return builder.load(total)

        _make_run(emit, _line(context, builder, target, target_, t0), count, total)
        return context.get_dummy_value()

    return types.void(*kinds), generate


sum_rows: Any = intrinsic(_sum_rows)


def _divide_row(typing, source, s0, divisors, factor, target, t0, count):
    """``target[t0 + i] = source[s0 + i] / (divisors[i] * factor)``, ``i < count``."""
    kinds = source, types.int64, divisors, source.dtype, target, types.int64, types.int64

    def generate(context, builder, signature, values):
        source_, s0, divisors_, factor, target_, t0, count = values
        here = _line(context, builder, source, source_, s0)
        by = _line(context, builder, divisors, divisors_, INT(0))
        emit = Emitter(builder, context.get_value_type(source.dtype))

        def quotient(i, load, spread):
            divisor = builder.fmul(load(builder.gep(by, [i])), spread(factor))
            return builder.fdiv(load(builder.gep(here, [i])), divisor)

        _make_run(emit, _line(context, builder, target, target_, t0), count, quotient)
        return context.get_dummy_value()

    return types.void(*kinds), generate


divide_row: Any = intrinsic(_divide_row)


def _blend_rows(typing, source, a, b, less, more, target, t0, count):
    """``target[t0 + i] = less * source[a + i] + more * source[b + i]``, ``i < count``."""
    kinds = (source, types.int64, types.int64, *[source.dtype] * 2, target, *[types.int64] * 2)

    def generate(context, builder, signature, values):
        source_, *firsts, less, more, target_, t0, count = values
        rows = [_line(context, builder, source, source_, first) for first in firsts]
        emit = Emitter(builder, context.get_value_type(source.dtype))

        def mixed(i, load, spread):
            a, b = (load(builder.gep(row, [i])) for row in rows)
            return builder.fadd(builder.fmul(spread(less), a), builder.fmul(spread(more), b))

        _make_run(emit, _line(context, builder, target, target_, t0), count, mixed)
        return context.get_dummy_value()

    return types.void(*kinds), generate


blend_rows: Any = intrinsic(_blend_rows)


LINE = 64
"""Bytes of a line of the cache."""

NONTEMPORAL_BYTES = 8 * 1024 * 1024
"""Bytes of a result that had better be written past the caches, also if it is read next."""


def _copy_nontemporal(typing, source, s0, target, t0, count):
    """``target[t0 + i] = source[s0 + i]``, ``i < count``, past the caches: for results larger than
    they are, of which a line would be read before it is written. Integers may become wider.

    A kernel that does this ends with ``fence_nontemporal()``.
    """
    kinds = source, types.int64, target, types.int64, types.int64

    def generate(context, builder, signature, values):
        here = _line(context, builder, source, *values[:2])
        there = _line(context, builder, target, *values[2:4])
        count = values[4]
        given, wanted = (context.get_value_type(kind.dtype) for kind in (source, target))
        size = context.get_abi_sizeof(wanted)
        lanes = LINE // size
        load, store = (Emitter(builder, kind, lanes) for kind in (given, wanted))

        def widened(value, kind):
            return value if value.type == kind else builder.sext(value, kind)

        def one_by_one(begin, end):
            with cgutils.for_range_slice(builder, begin, end, INT(1)) as (i, _):
                value = builder.load(builder.gep(here, [i]))
                builder.store(widened(value, wanted), builder.gep(there, [i]))

        before = builder.and_(builder.neg(builder.ptrtoint(there, INT)), INT(LINE - 1))
        begin = builder.udiv(before, INT(size))  # of the first whole line
        begin = builder.select(builder.icmp_signed("<", begin, count), begin, count)
        end = builder.add(begin, builder.and_(builder.sub(count, begin), INT(-lanes)))
        one_by_one(INT(0), begin)
        with cgutils.for_range_slice(builder, begin, end, INT(lanes)) as (i, _):
            line = widened(load.load(builder.gep(here, [i])), store.vector)
            stored = store.store(line, builder.gep(there, [i]), LINE)
            yes = builder.module.add_metadata([ir.IntType(32)(1)])
            stored.set_metadata("nontemporal", yes)
        one_by_one(end, count)
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _fence_nontemporal(typing):
    """What was stored past the caches is there, before anybody is told that it is."""

    def generate(context, builder, signature, values):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


copy_nontemporal: Any = intrinsic(_copy_nontemporal)
fence_nontemporal: Any = intrinsic(_fence_nontemporal)


PREFETCH_ROW_BYTES = 4096
"""Bytes that are fetched ahead in a plane whose rows are worked on, so that memory has the time to
answer. (``emitter.AHEAD`` is for what is read without a stop.)"""


def _prefetcher(caches: int) -> Any:
    """The intrinsic that asks for the lines of the cache that ``source[first:end]`` is in, and does
    not wait for them. They may lie behind it. For what is read in an order that a CPU does not
    foresee: here and there, or some rows of an image at once."""

    def fetch(typing, source, first, end):
        kinds = source, types.int64, types.int64

        def generate(context, builder, signature, values):
            emit = Emitter(builder, context.get_value_type(source.dtype))
            step = INT(LINE // emit.bytes)
            with cgutils.for_range_slice(builder, values[1], values[2], step) as (i, _):
                emit.prefetch(_line(context, builder, source, values[0], i), caches)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return intrinsic(fetch)


prefetch, prefetch_near = _prefetcher(2), _prefetcher(3)
"""Into the larger caches, and into the first as well: for what is read very soon."""


def interleaved(emit: Emitter, row: list[Any]) -> list[Any]:
    """Of a row of vectors, a power of two, a number of each in turn."""
    if len(row) == 1:
        return row
    lanes = emit.vector.count
    pairs = zip(interleaved(emit, row[::2]), interleaved(emit, row[1::2]), strict=True)
    order = [i // 2 + i % 2 * lanes for i in range(2 * lanes)]
    return [emit.shuffle(a, b, half) for a, b in pairs for half in (order[:lanes], order[lanes:])]


def interleaver(count: int) -> Any:
    """The intrinsic for ``target[t0 + i * count + b] = source[s0 + b * step + i]``, ``b < count``,
    for a vector of i. ``count`` is a power of two."""

    def interleave(typing, source, s0, step, target, t0):
        kinds = source, types.int64, types.int64, target, types.int64

        def generate(context, builder, signature, values):
            here = _line(context, builder, source, *values[:2])
            there = _line(context, builder, target, *values[3:])
            emit = Emitter(builder, context.get_value_type(source.dtype))
            places = [builder.mul(values[2], INT(b)) for b in range(count)]
            row = [emit.load(builder.gep(here, [place])) for place in places]
            for b, vector in enumerate(interleaved(emit, row)):
                emit.store(vector, builder.gep(there, [INT(b * emit.vector.count)]))
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return intrinsic(interleave)


interleave_2, interleave_4, interleave_8 = interleaver(2), interleaver(4), interleaver(8)
