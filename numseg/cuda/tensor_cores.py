"""Products of tiles by tensor cores, in TF32; :mod:`numseg.cuda.tiles` has them by multiply-adds.

TF32 is float32 with 10 bits after the point instead of 23. A tensor core multiplies such numbers
exactly and adds eight products at a time; what it loses there is cut off, not rounded. So sums are
carried outside: each eight products start from zero, and a float32 addition brings them to the sum.

- ``tf32`` rounds both factors to TF32.
- ``3xtf32`` splits each into the TF32 number next to it, *big*, and what is left, *small*, rounded
  alike: big times big, plus small times big and big times small. What is left out is below 2^-22 of
  a product. An infinite factor makes NaN, as infinity minus infinity is what would be left.

In the terms of :func:`bound` an error is a multiple of the sum of the products' sizes. (Exponents
are those of float32, so numbers below 2^-126 and, for ``3xtf32``, halves of numbers below 2^-102
lose bits besides.)

A warp multiplies 16 rows by 8 columns at a time (``mma.sync.m16n8k8`` of the PTX ISA). Its threads,
lanes 0 to 31, hold parts of the factors and the result: with ``g, q = divmod(lane, 4)``,

    a: row g or g + 8, step q or q + 4     b: step q or q + 4, column g
    result: row g or g + 8, column 2 q or 2 q + 1

Numba has no name for it: an intrinsic has the instruction as inline assembly. In the simulator a
thread computes its own numbers as the instruction would.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import int32, types
from numba.extending import intrinsic

from numseg.cuda.launch import quotient
from numseg.cuda.runtime import simulated
from numseg.cuda.tiles import Product, Tile, after, data_of, select_of
from numseg.kernels.machine.jit import rule

ROWS, COLUMNS, DEPTH = 16, 8, 8
"""That a warp multiplies at a time."""

SPARE = 8
"""Numbers that steps lie further apart in shared memory than a tile is wide: so the 32 numbers that
a warp reads at a time, 8 neighbours of 4 steps, are in 32 banks."""

PRECISIONS = "tf32", "3xtf32"


def bound(precision: str, steps: int) -> float:
    """The error of a sum of so many products, in units of the sum of the products' sizes."""
    unit, eps = 2.0**-11, 2.0**-23
    factors = (1 + unit) ** 4  # what sizes grow by
    outside = (1 + 2 * eps) ** -(-steps // DEPTH) - 1
    inside = (DEPTH + 1) * eps  # eight products, each cut off at the largest, and their sum
    if precision == "tf32":
        return (1 + unit) ** 2 - 1 + factors * (inside + outside)
    small = 2 * unit * 2 * (inside + eps)  # of two sums of eight, the second upon the first
    return factors * (3 * unit**2 + inside + small + outside)


def nearest(numbers: Any) -> Any:
    """TF32, rounded half away from zero, as ``cvt.rna.tf32.f32`` does."""
    numbers = np.asarray(numbers, np.float32)
    bits = (numbers.view(np.int32) + np.int32(1 << 12)) & np.int32(-1 << 13)
    return np.where(np.isfinite(numbers), bits.view(np.float32), numbers)


@np.errstate(invalid="ignore")  # of infinities
def eight(a: Any, b: Any, start: Any = 0.0) -> Any:
    """What a tensor core makes of eight products, along the last axis: they are exact, cut off
    where the largest has 24 bits, and so is their sum (Fasi et al. 2021, "Numerical behavior of
    NVIDIA tensor cores")."""
    products = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    first = np.broadcast_to(np.asarray(start, np.float64), products.shape[:-1])
    terms = np.concatenate([first[..., None], products], -1)
    unit = _unit(np.max(np.abs(terms), -1, keepdims=True))
    total = np.sum(np.trunc(terms / unit) * unit, -1)
    return (np.trunc(total / _unit(total)) * _unit(total)).astype(np.float32)


def _unit(numbers: Any) -> Any:
    """The last of float32's 24 bits."""
    return np.ldexp(1.0, np.maximum(np.frexp(numbers)[1] - 24, -149))


def product_of(tile: Tile, warp: tuple[int, int], precision: str) -> Product:
    """A tile whose warps have ``warp`` rows and columns each."""
    high, wide = warp
    left, right = tile.rows + SPARE, tile.columns + SPARE
    across = tile.columns // wide
    bands = tile.rows // high

    def left_place(t):
        lane = t & 31
        return int32((lane & 3) * left + quotient(t >> 5, across) * high + (lane >> 2))

    def right_place(t):
        lane, number = t & 31, t >> 5
        column = number - quotient(number, across) * across
        return int32((lane & 3) * right + column * wide + (lane >> 2))

    def shown_place(t):
        lane, number = t & 31, t >> 5
        band = quotient(number, across)
        row = band * ROWS + (lane >> 2)
        return int32(row * tile.columns + (number - band * across) * wide + 2 * (lane & 3))

    def row_of(part, row):
        band = row >> 4
        return int32(band * high + part * ROWS + (row & 15))

    def place(r: int, j: int) -> int:
        """Of row g + 8 r and column j in what a part shows."""
        return r * 8 * tile.columns + j // 2 * COLUMNS + j % 2

    return Product(
        tile, left, right, _multiply_of(tile, left, right, precision), select_of(tile, 2, place),
        bands * ROWS, rule(left_place), rule(right_place), rule(shown_place), rule(row_of),
    )  # fmt: skip


def _multiply_of(tile: Tile, row: int, column: int, precision: str) -> Any:
    """:attr:`Product.multiply`. A thread's numbers: two rows of each 16, two columns of each 8."""
    ups, overs = tile.by_rows // 2, tile.by_columns // 2
    split = precision == "3xtf32"

    def simulated_multiply(shared: Any, a: int, b: int, t: int, sums: Any) -> None:
        g, q = divmod(int(t) % 32, 4)
        first, second = a - q * row - g, b - q * column - g
        rows = [first + i // 2 * ROWS + g + i % 2 * 8 for i in range(tile.by_rows)]
        columns = [second + j // 2 * COLUMNS + 2 * q + j % 2 for j in range(tile.by_columns)]
        one, other = (
            np.asarray([[shared[at + k * step] for k in range(DEPTH)] for at in places], np.float32)
            for places, step in ((rows, row), (columns, column))
        )
        sums += _turn(one[:, None], other[None], split).reshape(-1)

    @intrinsic
    def multiply(typing_context, shared, a, b, t, sums):
        def generate(context, builder, signature, args):
            shared, a, b, _, sums = data_of(context, builder, signature, args)

            def numbers(at, step, places):
                return [builder.load(after(builder, shared, at, k + s * step))
                        for k, s in places]  # fmt: skip

            lefts = [
                numbers(a, row, [(i * ROWS + up, s) for s in (0, 4) for up in (0, 8)])
                for i in range(ups)
            ]
            rights = [numbers(b, column, [(j * COLUMNS, s) for s in (0, 4)]) for j in range(overs)]
            ones = [_parts(builder, part, split) for part in lefts]
            others = [_parts(builder, part, split) for part in rights]
            for i in range(ups):
                for j in range(overs):
                    for number, found in enumerate(_products(builder, ones[i], others[j])):
                        k = (2 * i + number // 2) * tile.by_columns + 2 * j + number % 2
                        place = after(builder, sums, None, k)
                        builder.store(builder.fadd(builder.load(place), found), place)
            return context.get_dummy_value()

        return types.void(shared, a, b, t, sums), generate

    return simulated_multiply if simulated() else multiply


def _turn(one: Any, other: Any, split: bool) -> Any:
    """What eight products add to a sum."""
    with np.errstate(invalid="ignore", over="ignore"):
        big, large = nearest(one), nearest(other)
        if not split:
            return eight(big, large)
        small, little = nearest(one - big), nearest(other - large)
        return eight(big, large) + eight(big, little, eight(small, large))


REAL, BITS = ir.FloatType(), ir.IntType(32)


def _parts(builder: Any, numbers: list[Any], split: bool) -> list[list[Any]]:
    """In TF32: the numbers; and what that leaves of them, if they are split."""
    bigs = [_nearest(builder, number) for number in numbers]
    if not split:
        return [bigs]
    rests = [
        builder.fsub(number, builder.bitcast(big, REAL))
        for number, big in zip(numbers, bigs, strict=True)
    ]
    return [bigs, [_nearest(builder, rest) for rest in rests]]


def _nearest(builder: Any, number: Any) -> Any:
    convert = ir.InlineAsm(ir.FunctionType(BITS, [REAL]), "cvt.rna.tf32.f32 $0, $1;", "=r,f")
    return builder.call(convert, [number])


def _products(builder: Any, one: list[list[Any]], other: list[list[Any]]) -> list[Any]:
    """The thread's four numbers of 16 x 8 sums of eight products."""
    zeros = [ir.Constant(REAL, 0.0)] * 4
    main = _multiply_add(builder, one[0], other[0], zeros)
    if len(one) == 1:
        return main
    rest = _multiply_add(builder, one[1], other[0], zeros)
    rest = _multiply_add(builder, one[0], other[1], rest)
    return [builder.fadd(a, b) for a, b in zip(main, rest, strict=True)]


def _multiply_add(builder: Any, a: list[Any], b: list[Any], c: list[Any]) -> list[Any]:
    kind = ir.FunctionType(ir.LiteralStructType([REAL] * 4), [BITS] * 6 + [REAL] * 4)
    code = (
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
    )
    call = ir.InlineAsm(kind, code, ",".join(["=f"] * 4 + ["r"] * 6 + ["f"] * 4))
    found = builder.call(call, [*a, *b, *c])
    return [builder.extract_value(found, k) for k in range(4)]
