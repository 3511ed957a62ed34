"""Products of matrices by tiles: what a block of threads keeps in shared memory and in registers.

A block computes a tile of the result, ``rows`` by ``columns``. In every turn it brings ``depth``
steps of both factors to shared memory, the next ones into registers meanwhile, and each thread adds
their products to its own numbers. How, and which numbers these are, a :class:`Product` says. By
multiply-adds they lie four by four: a thread has ``by_rows / 4`` times ``by_columns / 4`` squares,
spread over the tile so that neighbouring threads read neighbouring numbers. (By tensor cores:
:mod:`numseg.cuda.tensor_cores`.)

numba.cuda has no name for loads of 128 bits, nor for a loop that is unrolled for certain. Some
functions here are LLVM code for that reason; in Numba's simulator they are what they mean.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import int32, types
from numba.extending import intrinsic

from numseg.cuda.launch import quotient
from numseg.cuda.runtime import simulated
from numseg.kernels.machine.jit import rule

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


class Product(NamedTuple):
    """How a block multiplies what is in shared memory, and which sums each thread has."""

    tile: Tile
    left: int
    """In shared memory, how far apart steps of the first factor are."""
    right: int
    """And of the second one."""
    multiply: Any
    """``multiply(shared, a, b, t, sums)`` adds the products of ``depth`` steps to thread t's sums.
    ``a`` and ``b`` are its places in both factors."""
    show: Any
    """``show(sums, part, shared, at)`` brings a part of a thread's sums to shared memory, from its
    place on. Registers have no index, so a part is selected."""
    shown: int
    """Rows that a part of all threads' sums is."""
    left_place: Any
    """Where a thread's numbers of the first factor begin; of the second one; and its sums."""
    right_place: Any
    shown_place: Any
    row_of: Any
    """``row_of(part, row)``: which row of the tile lies in a row of what is shown."""


def start_simulated(array: Any, number: Any, size: Any) -> int:
    """Where the part with this number of an array begins, parts of ``size`` numbers. On a GPU
    places are addresses: LLVM would widen what they are made of to 64 bits before a loop, and take
    five instructions in the loop for what is one multiply-add of integers."""
    return int(number) * int(size)


def onward_simulated(array: Any, place: Any, numbers: Any) -> int:
    """The place so many numbers further on."""
    return int(place) + int(numbers)


def read_simulated(array: Any, place: Any) -> Any:
    """The number at a place."""
    return array[place]


def fetch_simulated(array: Any, place: Any, more: Any, numbers: Any, j: int) -> None:
    """Four numbers that begin ``more`` numbers after a place, both aligned, into ``numbers[j:]``,
    in registers."""
    for k in range(QUAD):
        numbers[j + k] = array[place + more + k]


def put_simulated(numbers: Any, j: int, target: Any, i: int) -> None:
    """Four numbers from ``numbers[j]`` on into ``target[i:]``, both aligned."""
    for k in range(QUAD):
        target[i + k] = numbers[j + k]


@intrinsic
def start_compiled(typing_context, array, number, size):
    """:func:`start_simulated`."""

    def generate(context, builder, signature, args):
        data, number, size = data_of(context, builder, signature, args)
        size = builder.mul(size, ir.Constant(size.type, _itemsize(signature)))
        return _multiply_add_wide(builder, "u32", number, size, builder.ptrtoint(data, WIDE))

    return types.int64(array, number, size), generate


@intrinsic
def onward_compiled(typing_context, array, place, numbers):
    """:func:`onward_simulated`."""

    def generate(context, builder, signature, args):
        _, place, numbers = data_of(context, builder, signature, args)
        size = ir.Constant(numbers.type, _itemsize(signature))
        return _multiply_add_wide(builder, "s32", numbers, size, place)

    return types.int64(array, place, numbers), generate


@intrinsic
def read_compiled(typing_context, array, place):
    """:func:`read_simulated`."""

    def generate(context, builder, signature, args):
        data, place = data_of(context, builder, signature, args)
        return builder.load(_global(builder, place, data.type.pointee))

    return array.dtype(array, place), generate


@intrinsic
def fetch_compiled(typing_context, array, place, more, numbers, j):
    """:func:`fetch_simulated` in a load of 128 bits."""

    def generate(context, builder, signature, args):
        data, place, more, numbers, j = data_of(context, builder, signature, args)
        size = ir.Constant(WIDE, _itemsize(signature))
        place = builder.add(place, builder.mul(builder.sext(more, WIDE), size))
        for k, number in enumerate(_quad(builder, _global(builder, place, data.type.pointee))):
            builder.store(number, after(builder, numbers, j, k))
        return context.get_dummy_value()

    return types.void(array, place, more, numbers, j), generate


@intrinsic
def put_compiled(typing_context, numbers, j, target, i):
    """:func:`put_simulated` in a store of 128 bits."""

    def generate(context, builder, signature, args):
        numbers, j, target, i = data_of(context, builder, signature, args)
        value = ir.Constant(ir.VectorType(target.type.pointee, QUAD), ir.Undefined)
        for k in range(QUAD):
            number = builder.load(after(builder, numbers, j, k))
            value = builder.insert_element(value, number, _index(k))
        at = builder.bitcast(builder.gep(target, [i]), value.type.as_pointer())
        builder.store(value, at, align=ALIGNED)
        return context.get_dummy_value()

    return types.void(numbers, j, target, i), generate


fetch: Any = fetch_simulated if simulated() else fetch_compiled
start: Any = start_simulated if simulated() else start_compiled
onward: Any = onward_simulated if simulated() else onward_compiled
read: Any = read_simulated if simulated() else read_compiled
put: Any = put_simulated if simulated() else put_compiled


def multiply_adds(tile: Tile, spare: int = 0) -> Product:
    """In registers. In shared memory steps lie ``spare`` numbers further apart than the tile is
    wide."""
    across, down = tile.columns // tile.by_columns, tile.rows // tile.by_rows
    shown = shown_rows(tile)
    left, right = tile.rows + spare, tile.columns + spare

    def left_place(t):
        return int32(quotient(t, across) * QUAD)

    def right_place(t):
        return int32((t - quotient(t, across) * across) * QUAD)

    def shown_place(t):
        row = quotient(t, across)
        return int32(row * tile.columns + (t - row * across) * QUAD)

    def row_of(part, row):
        i = int32(part * shown + quotient(row, down))
        square = quotient(i, QUAD)
        return int32((square * down + row - quotient(row, down) * down) * QUAD + i - square * QUAD)

    return Product(
        tile, left, right, multiply_of(tile, left, right), show_of(tile), shown * down,
        rule(left_place), rule(right_place), rule(shown_place), rule(row_of),
    )  # fmt: skip


def shown_rows(tile: Tile) -> int:
    """Of each thread's rows, how many fit into the shared memory of a tile's two turns."""
    threads_down = tile.rows // tile.by_rows
    fit = 2 * tile.depth * (tile.rows + tile.columns) // (threads_down * tile.columns)
    return 1 << (min(fit, tile.by_rows).bit_length() - 1)


def multiply_of(tile: Tile, row: int, column: int) -> Any:
    """:attr:`Product.multiply`, where steps of the first factor lie ``row`` apart in shared memory,
    and of the second one ``column``. ``sums[i * by_columns + j]`` are the thread's numbers."""
    a_at = _spread(tile.by_rows, tile.rows)
    b_at = _spread(tile.by_columns, tile.columns)

    def simulated_multiply(shared: Any, a: int, b: int, t: int, sums: Any) -> None:
        for step in range(tile.depth):
            left = np.asarray([shared[a + step * row + k] for k in a_at])
            right = np.asarray([shared[b + step * column + k] for k in b_at])
            sums += np.multiply.outer(left, right).reshape(-1)

    @intrinsic
    def multiply(typing_context, shared, a, b, t, sums):
        def generate(context, builder, signature, args):
            shared, a, b, _, sums = data_of(context, builder, signature, args)
            places = [after(builder, sums, None, k) for k in range(len(a_at) * len(b_at))]
            numbers = [builder.load(place) for place in places]
            for step in range(tile.depth):
                left = [
                    number
                    for k in a_at[::QUAD]
                    for number in _quad(builder, after(builder, shared, a, step * row + k))
                ]
                right = [
                    number
                    for k in b_at[::QUAD]
                    for number in _quad(builder, after(builder, shared, b, step * column + k))
                ]
                for k in range(len(numbers)):
                    one, other = left[k // len(right)], right[k % len(right)]
                    numbers[k] = builder.fma(one, other, numbers[k])
            for place, number in zip(places, numbers, strict=True):
                builder.store(number, place)
            return context.get_dummy_value()

        return types.void(shared, a, b, t, sums), generate

    return simulated_multiply if simulated() else multiply


def show_of(tile: Tile) -> Any:
    """:attr:`Product.show`. A part is ``shown_rows`` of every thread's rows, after ``part`` times
    as many. In shared memory the threads' first rows lie one below the other, then their second
    ones."""
    across = _spread(tile.by_columns, tile.columns)
    below = tile.rows // tile.by_rows * tile.columns
    return select_of(tile, shown_rows(tile), lambda r, j: r * below + across[j])


def select_of(tile: Tile, shown: int, place_of: Any) -> Any:
    """What shows so many of a thread's rows, the number in row r and column j at ``place_of(r,
    j)``."""
    places = [(r, j, place_of(r, j)) for r in range(shown) for j in range(tile.by_columns)]

    def simulated_show(sums: Any, part: int, shared: Any, at: int) -> None:
        for r, j, place in places:
            shared[at + place] = sums[(part * shown + r) * tile.by_columns + j]

    @intrinsic
    def show(typing_context, sums, part, shared, at):
        def generate(context, builder, signature, args):
            sums, part, shared, at = data_of(context, builder, signature, args)
            this = [
                builder.icmp_signed("==", part, ir.Constant(part.type, k))
                for k in range(tile.by_rows // shown)
            ]
            for r, j, place in places:
                k = r * tile.by_columns + j
                chosen = builder.load(after(builder, sums, None, k))
                for number in range(1, len(this)):
                    more = number * shown * tile.by_columns
                    other = builder.load(after(builder, sums, None, k + more))
                    chosen = builder.select(this[number], other, chosen)
                builder.store(chosen, after(builder, shared, at, place))
            return context.get_dummy_value()

        return types.void(sums, part, shared, at), generate

    return simulated_show if simulated() else show


WIDE = ir.IntType(64)


def _itemsize(signature: Any) -> int:
    """Of the first argument's numbers."""
    return int(signature.args[0].dtype.bitwidth // 8)


def _multiply_add_wide(builder: Any, kind: str, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` of two numbers of 32 bits and one of 64."""
    narrow = ir.IntType(32)
    kind_of = ir.FunctionType(WIDE, [narrow, narrow, WIDE])
    code = ir.InlineAsm(kind_of, f"mad.wide.{kind} $0, $1, $2, $3;", "=l,r,r,l")
    return builder.call(code, [_narrowed(builder, a), _narrowed(builder, b), c])


def _narrowed(builder: Any, number: Any) -> Any:
    """Numba has sums and products in 64 bits, of numbers that have 32."""
    narrow = ir.IntType(32)
    return number if number.type == narrow else builder.trunc(number, narrow)


def _global(builder: Any, place: Any, kind: Any) -> Any:
    """The pointer of an address in global memory."""
    return builder.inttoptr(place, ir.PointerType(kind, 1))


def _spread(numbers: int, size: int) -> list[int]:
    """Where a thread's numbers along an axis of a tile are, from its first one on."""
    threads = size // numbers
    return [k // QUAD * threads * QUAD + k % QUAD for k in range(numbers)]


def _quad(builder: Any, place: Any) -> list[Any]:
    """Four numbers from an aligned place."""
    quad = ir.VectorType(place.type.pointee, QUAD)
    there = builder.bitcast(place, quad.as_pointer(place.type.addrspace))
    loaded = builder.load(there, align=ALIGNED)
    return [builder.extract_element(loaded, _index(k)) for k in range(QUAD)]


def _index(k: int) -> Any:
    return ir.Constant(ir.IntType(32), k)


def data_of(context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
    """Of arrays the pointer to their numbers; the rest as it is."""
    return [
        context.make_array(kind)(context, builder, value).data
        if isinstance(kind, types.Array)
        else value
        for kind, value in zip(signature.args, args, strict=True)
    ]


def after(builder: Any, pointer: Any, index: Any, more: int) -> Any:
    """The place ``index + more``, of which the second part is known; and the first, if None."""
    at = pointer if index is None else builder.gep(pointer, [index])
    return builder.gep(at, [_index(more)])


def aligned(array: Any) -> bool:
    """Whether the array begins where 128 bits can be moved at a time."""
    return simulated() or array.device_ctypes_pointer.value % 16 == 0
