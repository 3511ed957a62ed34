"""Products of matrices by tiles: what a block of threads keeps in shared memory and in registers.

A block computes a tile of the result, ``rows`` by ``columns``. In every turn it brings ``depth``
steps of both factors to shared memory, the next ones into registers meanwhile, and each thread adds
their products to its own numbers. These lie four by four: a thread has ``by_rows / 4`` times
``by_columns / 4`` squares, spread over the tile so that neighbouring threads read neighbouring
numbers.

numba.cuda has no name for loads of 128 bits, nor for a loop that is unrolled for certain. Four
functions here are LLVM code for that reason; in Numba's simulator they are what they mean.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from numseg.cuda.runtime import simulated

QUAD = 4
"""Numbers that are moved at a time: 128 bits of float32 or int32, and twice that of float64."""

ALIGNED = None if simulated() else 16
"""Of what is moved so."""


class Tile(NamedTuple):
    """Of a block, rows and columns; steps of a turn; and a thread's rows and columns."""

    rows: int
    columns: int
    depth: int
    by_rows: int
    by_columns: int

    @property
    def threads(self) -> int:
        return self.rows * self.columns // (self.by_rows * self.by_columns)


def fetch_simulated(source: Any, i: int, numbers: Any, j: int) -> None:
    """Four numbers from ``source[i]`` on, both aligned, into ``numbers[j:]``, in registers."""
    for k in range(QUAD):
        numbers[j + k] = source[i + k]


def put_simulated(numbers: Any, j: int, target: Any, i: int) -> None:
    """The other way."""
    for k in range(QUAD):
        target[i + k] = numbers[j + k]


@intrinsic
def fetch_compiled(typing_context, source, i, numbers, j):
    """:func:`fetch_simulated` in a load of 128 bits."""

    def generate(context, builder, signature, args):
        source, i, numbers, j = _data(context, builder, signature, args)
        for k, number in enumerate(_quad(builder, builder.gep(source, [i]))):
            builder.store(number, _after(builder, numbers, j, k))
        return context.get_dummy_value()

    return types.void(source, i, numbers, j), generate


@intrinsic
def put_compiled(typing_context, numbers, j, target, i):
    """:func:`put_simulated` in a store of 128 bits."""

    def generate(context, builder, signature, args):
        numbers, j, target, i = _data(context, builder, signature, args)
        value = ir.Constant(ir.VectorType(target.type.pointee, QUAD), ir.Undefined)
        for k in range(QUAD):
            number = builder.load(_after(builder, numbers, j, k))
            value = builder.insert_element(value, number, _index(k))
        at = builder.bitcast(builder.gep(target, [i]), value.type.as_pointer())
        builder.store(value, at, align=ALIGNED)
        return context.get_dummy_value()

    return types.void(numbers, j, target, i), generate


fetch: Any = fetch_simulated if simulated() else fetch_compiled
put: Any = put_simulated if simulated() else put_compiled


def shown_rows(tile: Tile) -> int:
    """Of each thread's rows, how many fit into the shared memory of a tile's two turns."""
    threads_down = tile.rows // tile.by_rows
    fit = 2 * tile.depth * (tile.rows + tile.columns) // (threads_down * tile.columns)
    return 1 << (min(fit, tile.by_rows).bit_length() - 1)


def multiply_of(tile: Tile, row: int, column: int) -> Any:
    """``multiply(shared, a, b, sums)``, where steps of the first factor lie ``row`` apart in shared
    memory, and of the second one ``column``.

    ``a`` and ``b`` are where in shared memory the thread's first numbers of both factors are. To
    ``sums[i * by_columns + j]`` it adds the products of ``depth`` steps, one after the other.
    """
    a_at = _spread(tile.by_rows, tile.rows)
    b_at = _spread(tile.by_columns, tile.columns)

    def simulated_multiply(shared: Any, a: int, b: int, sums: Any) -> None:
        for step in range(tile.depth):
            left = np.asarray([shared[a + step * row + k] for k in a_at])
            right = np.asarray([shared[b + step * column + k] for k in b_at])
            sums += np.multiply.outer(left, right).reshape(-1)

    @intrinsic
    def multiply(typing_context, shared, a, b, sums):
        def generate(context, builder, signature, args):
            shared, a, b, sums = _data(context, builder, signature, args)
            places = [_after(builder, sums, None, k) for k in range(len(a_at) * len(b_at))]
            numbers = [builder.load(place) for place in places]
            for step in range(tile.depth):
                left = [
                    number
                    for k in a_at[::QUAD]
                    for number in _quad(builder, _after(builder, shared, a, step * row + k))
                ]
                right = [
                    number
                    for k in b_at[::QUAD]
                    for number in _quad(builder, _after(builder, shared, b, step * column + k))
                ]
                for k in range(len(numbers)):
                    one, other = left[k // len(right)], right[k % len(right)]
                    numbers[k] = builder.fma(one, other, numbers[k])
            for place, number in zip(places, numbers, strict=True):
                builder.store(number, place)
            return context.get_dummy_value()

        return types.void(shared, a, b, sums), generate

    return simulated_multiply if simulated() else multiply


def show_of(tile: Tile) -> Any:
    """``show(sums, part, shared, at)``: bring part of a thread's sums to shared memory.

    Of every thread's rows the ``shown_rows`` after ``part`` times as many. In shared memory the
    threads' first rows lie one below the other, then their second ones. Registers have no index, so
    a part is selected.
    """
    shown, across = shown_rows(tile), _spread(tile.by_columns, tile.columns)
    below = tile.rows // tile.by_rows * tile.columns

    def simulated_show(sums: Any, part: int, shared: Any, at: int) -> None:
        for r in range(shown):
            for j, place in enumerate(across):
                number = sums[(part * shown + r) * tile.by_columns + j]
                shared[at + r * below + place] = number

    @intrinsic
    def show(typing_context, sums, part, shared, at):
        def generate(context, builder, signature, args):
            sums, part, shared, at = _data(context, builder, signature, args)
            this = [
                builder.icmp_signed("==", part, ir.Constant(part.type, k))
                for k in range(tile.by_rows // shown)
            ]
            for r in range(shown):
                for j, place in enumerate(across):
                    k = r * tile.by_columns + j
                    chosen = builder.load(_after(builder, sums, None, k))
                    for number in range(1, len(this)):
                        more = number * shown * tile.by_columns
                        other = builder.load(_after(builder, sums, None, k + more))
                        chosen = builder.select(this[number], other, chosen)
                    builder.store(chosen, _after(builder, shared, at, r * below + place))
            return context.get_dummy_value()

        return types.void(sums, part, shared, at), generate

    return simulated_show if simulated() else show


def _spread(numbers: int, size: int) -> list[int]:
    """Where a thread's numbers along an axis of a tile are, from its first one on."""
    threads = size // numbers
    return [k // QUAD * threads * QUAD + k % QUAD for k in range(numbers)]


def _quad(builder: Any, place: Any) -> list[Any]:
    """Four numbers from an aligned place."""
    quad = ir.VectorType(place.type.pointee, QUAD)
    loaded = builder.load(builder.bitcast(place, quad.as_pointer()), align=ALIGNED)
    return [builder.extract_element(loaded, _index(k)) for k in range(QUAD)]


def _index(k: int) -> Any:
    return ir.Constant(ir.IntType(32), k)


def _data(context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
    """Of arrays the pointer to their numbers; the rest as it is."""
    return [
        context.make_array(kind)(context, builder, value).data
        if isinstance(kind, types.Array)
        else value
        for kind, value in zip(signature.args, args, strict=True)
    ]


def _after(builder: Any, pointer: Any, index: Any, more: int) -> Any:
    """The place ``index + more``, of which the second part is known; and the first, if None."""
    at = pointer if index is None else builder.gep(pointer, [index])
    return builder.gep(at, [_index(more)])


def aligned(array: Any) -> bool:
    """Whether the array begins where 128 bits can be moved at a time."""
    return simulated() or array.device_ctypes_pointer.value % 16 == 0
