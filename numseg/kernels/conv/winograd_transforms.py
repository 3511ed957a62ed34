"""Winograd's transforms of a tile, as LLVM IR.

With a kernel w of 3 taps and a tile x of m + 2 pixels, the m sums ``y[u] = sum of w[i] * x[u + i]``
are

    y = A ((G w) * (B x))           one product for each of the m + 2 points, instead of 3 m

and the same along both axes for images, ``A ((G w G') * (B x B')) A'``. The points are numbers at
which polynomials are evaluated; docs/decisions/0012 says why these were chosen.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read
from numseg.kernels.machine.vector_copy import interleaved

Rows = tuple[tuple[Fraction, ...], ...]

TAPS = 3


class Transform(NamedTuple):
    """Rows of A, of B and of G."""

    outputs: Rows
    image: Rows
    weights: Rows


def transform(points: list[Fraction]) -> Transform:
    """The transform for the given points and infinity, by Toom and Cook.

    A row of A has a power of the points. A row of B has the coefficients of the polynomial that is
    zero at all other points (the last: at all of them), and the row of G the powers of its point,
    divided by the polynomial's value there.
    """
    m, zero, one = len(points) + 2 - TAPS, Fraction(0), Fraction(1)
    outputs = [[p**u for p in points] + [one if u == m - 1 else zero] for u in range(m)]
    image, weights = [], []
    for p in points:
        others = [q for q in points if q != p]
        image.append([*_product(others), zero])
        value = math.prod(p - q for q in others)
        weights.append([p**i / value for i in range(TAPS)])
    image.append(_product(points))
    weights.append([zero] * (TAPS - 1) + [one])
    return Transform(*(tuple(map(tuple, rows)) for rows in (outputs, image, weights)))


def _product(roots: list[Fraction]) -> list[Fraction]:
    """The coefficients of the product of all ``x - root``, the constant first."""
    row = [Fraction(1)]
    for root in roots:
        row = [a - root * b for a, b in zip([Fraction(0), *row], [*row, Fraction(0)], strict=True)]
    return row


POINTS = {2: "0 1 -1", 4: "0 5/8 -5/8 7/4 -7/4"}
TRANSFORMS = {m: transform([Fraction(p) for p in points.split()]) for m, points in POINTS.items()}
"""By the outputs of a tile in a row."""


def _sandwich(emit: Emitter, rows: Rows, square: list[list[Any]]) -> list[list[Any]]:
    """``rows @ square @ rows.T``, of vectors."""
    columns = [[_dot(emit, row, column) for row in rows] for column in zip(*square, strict=True)]
    return [[_dot(emit, row, line) for row in rows] for line in zip(*columns, strict=True)]


def _dot(emit: Emitter, row: tuple[Fraction, ...], vectors: Any) -> Any:
    """One rounding for each term, but for the first where its factor is 1, as some factor mostly
    is."""
    terms = [(c, v) for c, v in zip(row, vectors, strict=True) if c != 0]
    terms.sort(key=lambda term: term[0] != 1)
    total = None
    for factor, vector in terms:
        if total is None:
            total = vector if factor == 1 else emit.builder.fmul(_constant(emit, factor), vector)
        elif factor == 1:
            total = emit.builder.fadd(total, vector)
        elif factor == -1:
            total = emit.builder.fsub(total, vector)
        else:
            total = emit.multiply_add(_constant(emit, factor), vector, total)
    return total


def _constant(emit: Emitter, number: Fraction) -> Any:
    return ir.Constant(emit.vector, [float(number)] * emit.vector.count)


def _at(emit: Emitter, base: Any, first: Any, *parts: tuple[Any, int]) -> Any:
    """The address ``base + first + sum of step * number``."""
    for step, number in parts:
        first = emit.builder.add(first, emit.builder.mul(step, INT(number)))
    return emit.builder.gep(base, [first])


def _image_tiles(typing, tile, phases, first, line, phase, v, to, point):
    """A vector of tiles, side by side in an image, to V: ``v[to + p * point] = B x B'`` at point p.

    Pixel (i, j) of a tile is at ``phases[first + i * line + j % m * phase + j // m]``.
    """
    kinds = (tile, phases, *[types.int64] * 3, v, *[types.int64] * 2)
    m = len(tile)

    def generate(context, builder, signature, values):
        _, phases, first, line, phase, v, to, point = read(context, builder, kinds, values)
        emit = Emitter(builder, context.get_value_type(kinds[1].dtype))
        size = m + TAPS - 1
        pixels = [
            [
                emit.load(_at(emit, phases, first, (line, i), (phase, j % m), (INT(1), j // m)))
                for j in range(size)
            ]
            for i in range(size)
        ]
        done = _sandwich(emit, TRANSFORMS[m].image, pixels)
        for p, vector in enumerate(itertools.chain(*done)):
            emit.store(vector, _at(emit, v, to, (point, p)))
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _weight_tiles(typing, tile, taps, flip, u, to, point):
    """A vector of kernels to U: ``u[to + p * point] = G w G'`` at point p; of the kernels upside
    down with ``flip``. Tap t of all of them is the vector at ``taps[t * lanes]``."""
    kinds = (tile, taps, types.boolean, u, *[types.int64] * 2)
    m = len(tile)

    def generate(context, builder, signature, values):
        _, taps, flip, u, to, point = read(context, builder, kinds, values)
        emit = Emitter(builder, context.get_value_type(kinds[1].dtype))
        last = TAPS * TAPS - 1

        def tap(t):
            place = builder.select(flip, INT(last - t), INT(t))
            return emit.load(_at(emit, taps, builder.mul(place, INT(emit.vector.count))))

        kernel = [[tap(TAPS * i + j) for j in range(TAPS)] for i in range(TAPS)]
        done = _sandwich(emit, TRANSFORMS[m].weights, kernel)
        for p, vector in enumerate(itertools.chain(*done)):
            emit.store(vector, _at(emit, u, to, (point, p)))
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _output_tiles(typing, tile, sums, first, point, bias, lines, to, line):
    """A vector of tiles from M: row i of their outputs, ``A M A' + bias``, is at
    ``lines[to + i * line]``, in the order of pixels."""
    kinds = (tile, sums, *[types.int64] * 2, sums.dtype, lines, *[types.int64] * 2)
    m = len(tile)

    def generate(context, builder, signature, values):
        _, sums, first, point, bias, lines, to, line = read(context, builder, kinds, values)
        emit = Emitter(builder, context.get_value_type(kinds[1].dtype))
        size = m + TAPS - 1
        loaded = [
            [emit.load(_at(emit, sums, first, (point, i * size + j))) for j in range(size)]
            for i in range(size)
        ]
        bias = emit.broadcast(bias)
        for i, row in enumerate(_sandwich(emit, TRANSFORMS[m].outputs, loaded)):
            row = [builder.fadd(vector, bias) for vector in row]
            for k, vector in enumerate(interleaved(emit, row)):
                emit.store(vector, _at(emit, lines, to, (line, i), (INT(emit.vector.count), k)))
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _split(typing, tile, lines, phases, size):
    """Every m-th number: ``phases[j * size + v] = lines[v * m + j]``, j < m, for ``v < size``, a
    number of whole vectors."""
    kinds = (tile, lines, phases, types.int64)
    m = len(tile)

    def generate(context, builder, signature, values):
        _, lines, phases, size = read(context, builder, kinds, values)
        emit = Emitter(builder, context.get_value_type(kinds[1].dtype))
        lanes = INT(emit.vector.count)
        with cgutils.for_range_slice(builder, INT(0), size, lanes) as (v, _):
            here = builder.mul(v, INT(m))
            row = [emit.load(_at(emit, lines, here, (lanes, k))) for k in range(m)]
            for j, vector in enumerate(_deinterleaved(emit, row)):
                emit.store(vector, _at(emit, phases, v, (size, j)))
        return context.get_dummy_value()

    return types.void(*kinds), generate


def _deinterleaved(emit: Emitter, row: list[Any]) -> list[Any]:
    """Of a row of vectors, every len(row)-th number, from each of the first on."""
    if len(row) == 1:
        return row
    lanes, pairs = emit.vector.count, list(zip(row[::2], row[1::2], strict=True))
    orders = [list(range(first, 2 * lanes, 2)) for first in (0, 1)]
    halves = [_deinterleaved(emit, [emit.shuffle(*p, order) for p in pairs]) for order in orders]
    return [vector for pair in zip(*halves, strict=True) for vector in pair]


image_tiles: Any = intrinsic(_image_tiles)
weight_tiles: Any = intrinsic(_weight_tiles)
output_tiles: Any = intrinsic(_output_tiles)
split: Any = intrinsic(_split)
