"""Convolutions of one channel with 3 x 3 taps, and the gradients of their weights, as LLVM IR.

A tile of the micro-kernel (:mod:`numseg.kernels.machine.micro_kernel`) loads a vector of pixels for
every multiply-add if there is but one filter. Here one serves all the rows of outputs that meet it,
and the weights of a plane, or their gradients, stay in registers. While a plane is computed, what
comes after it is fetched into the cache: a number for each number that is used.
"""

from __future__ import annotations

import contextlib
from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read

ROWS = 4
"""Rows of outputs that are computed at once, where there are so many."""


class _Walk(Emitter):
    """Over the outputs of some rows, ``rows`` at once, and vectors of pixels that they meet."""

    def __init__(self, context, builder, rows, kinds, values):
        super().__init__(builder, context.get_value_type(kinds[0].dtype))
        self.rows = rows
        self.values = read(context, builder, kinds, values)

    def line(self, base, first, step, number):
        return self.builder.gep(
            base, [self.builder.add(first, self.builder.mul(step, INT(number)))]
        )

    @contextlib.contextmanager
    def blocks(self):
        """Yields the places of a vector of outputs in each row of y, the vectors of pixels that
        they meet, from above and from the left, and how many of the first lanes came before."""
        x, x_at, x_row, x_column, y, y_at, y_row, count, columns, image, further, size = (
            self.values[:12]
        )
        builder, lanes = self.builder, INT(self.vector.count)
        with cgutils.for_range_slice(builder, INT(0), count, INT(self.rows)) as (t, _):
            x_rows = [
                self.line(x, builder.add(x_at, builder.mul(t, x_row)), x_row, r)
                for r in range(self.rows + 2)
            ]
            first = builder.add(y_at, builder.mul(t, y_row))
            y_rows = [builder.add(first, builder.mul(y_row, INT(r))) for r in range(self.rows)]
            with cgutils.for_range_slice(builder, INT(0), columns, lanes) as (begin, _):
                last = builder.sub(columns, lanes)
                q = builder.select(builder.icmp_signed("<", begin, last), begin, last)
                places = [builder.add(row, q) for row in y_rows]
                for place in places:
                    self.prefetch(builder.gep(image, [builder.add(place, further)]))
                    self.prefetch(builder.gep(y, [builder.add(place, size)]))
                pixels = [self.line(row, q, x_column, j) for row in x_rows for j in range(3)]
                yield [builder.gep(y, [place]) for place in places], pixels, builder.sub(begin, q)


def _kinds(x, y, image):
    return x, *[types.int64] * 3, y, *[types.int64] * 4, image, *[types.int64] * 2


def stencil(rows: int) -> Any:
    """The intrinsic for rows of a convolution::

        f(x, x_at, x_row, x_column, y, y_at, y_row, count, columns, image, further, size,
          w, first, taps, start)

        y[y_at + t * y_row + q] = start + sum over i, j of
            w[first + taps[3 i + j]] * x[x_at + (t + i) * x_row + q + j * x_column]

    for ``t < count``, a multiple of ``rows``, and ``q < columns``, at least a vector. The taps of
    an output are added in the micro-kernel's order. What is fetched of y is ``size`` after each
    output, and of the image ``further`` after its place in y.
    """

    def generate_(typing, x, x_at, x_row, x_column, y, y_at, y_row, count, columns, image, further,
                  size, w, first, taps, start):  # fmt: skip
        kinds = (*_kinds(x, y, image), w, types.int64, taps, x.dtype)

        def generate(context, builder, signature, values):
            walk = _Walk(context, builder, rows, kinds, values)
            w, first, taps, start = walk.values[12:]
            weights = [
                walk.broadcast(builder.load(walk.place(builder.gep(w, [first]), taps, INT(0), k)))
                for k in range(9)
            ]
            start = walk.broadcast(start)
            with walk.blocks() as (places, pixels, _):
                sums = [start] * rows
                for r in range(rows + 2):
                    for j in range(3):
                        vector = walk.load(pixels[3 * r + j])
                        for t in range(max(r - 2, 0), min(r + 1, rows)):
                            tap = weights[3 * (r - t) + j]
                            sums[t] = walk.multiply_add(tap, vector, sums[t])
                for total, place in zip(sums, places, strict=True):
                    walk.store(total, place)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return intrinsic(generate_)


def stencil_sums(rows: int) -> Any:
    """The intrinsic for the sums of nine taps, a vector of sums each::

    f(x, x_at, x_row, x_column, gy, y_at, y_row, count, columns, image, further, size, sums)

    sums[3 i + j, lane] += sum over t, q of
        gy[y_at + t * y_row + q] * x[x_at + (t + i) * x_row + q + j * x_column]
    """

    def generate_(typing, x, x_at, x_row, x_column, gy, y_at, y_row, count, columns, image, further,
                  size, sums):  # fmt: skip
        kinds = (*_kinds(x, gy, image), sums)

        def generate(context, builder, signature, values):
            walk = _Walk(context, builder, rows, kinds, values)
            ends = [builder.gep(walk.values[12], [INT(k * walk.vector.count)]) for k in range(9)]
            sums = [cgutils.alloca_once_value(builder, walk.load(end)) for end in ends]
            with walk.blocks() as (places, pixels, before):
                new = walk.lanes_from(before)
                grads = [walk.masked(new, walk.load(place)) for place in places]
                totals = [builder.load(total) for total in sums]
                for r in range(rows + 2):
                    for j in range(3):
                        # lanes that came before hold pixels, and what is not finite would count
                        vector = walk.masked(new, walk.load(pixels[3 * r + j]))
                        for t in range(max(r - 2, 0), min(r + 1, rows)):
                            k = 3 * (r - t) + j
                            totals[k] = walk.multiply_add(grads[t], vector, totals[k])
                for total, place in zip(totals, sums, strict=True):
                    builder.store(total, place)
            for total, end in zip(sums, ends, strict=True):
                walk.store(builder.load(total), end)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return intrinsic(generate_)
