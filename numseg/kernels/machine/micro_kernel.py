"""The micro-kernel: a tile of a matrix product held in vector registers, as LLVM IR.

    out[row r, vector v] = start[r] + sum over k of  a[row r, step k] * x[vector v, step k]

A convolution, either of its gradients, and a plain matrix product are all this sum. What differs is
where the numbers lie, and that is said by tables of offsets, in elements, rather than by copying
numbers into panels::

                      x[x_vectors[v] + steps[k, 1] ...]        one vector load for each v
                         |          |          |
    a[a_rows[0] +  --  [acc 00]  [acc 01]  [acc 02]   --  out[out_rows[0] + out_vectors[v] ...]
      steps[k, 0]] --  [acc 10]  [acc 11]  [acc 12]   --  out[out_rows[1] + out_vectors[v] ...]
         ...              one register each, live             ...
    one broadcast         through the whole sum
    for each r

- Im2col never exists: step k = (c, i, j) of a convolution is an offset into the padded image.
- A tile has no tail: where rows or vectors run out, the table repeats the last one, which is then
  computed and written twice, with the same bits.
- The sum runs over k in order, one fused multiply-add at a time. So a result's bits depend neither
  on the tile, nor on the vector's width, nor on who computes what.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter, read


def micro_kernel(rows: int, vectors: int, across: bool = False) -> Any:
    """The intrinsic for a tile of ``rows`` x ``vectors`` registers::

        f(a, a_rows, i, x, x_vectors, j, steps, k0, k1, out, out_rows, io, out_vectors, jo, start)

    ``a``, ``x`` and ``out`` are 1-D arrays of one float type. The tables are 1-D int64 arrays, of
    which the tile takes the entries from ``i`` and ``j`` on (``io`` and ``jo`` for those of out);
    ``steps`` is (K, 2), and the sum takes its rows ``k0 <= k < k1``. ``start`` is an array with a
    number for each entry of ``a_rows``, or None for zero, or True to go on from what ``out`` holds.
    Offsets are not checked.

    With ``across``, a step takes a vector of ``a`` too instead of one number: each lane is a sum of
    its own, and who adds up the lanes has a sum along memory in both arrays.
    """

    @intrinsic
    def tile(
        typing, a, a_rows, i, x, x_vectors, j, steps, k0, k1, out, out_rows, io, out_vectors, jo,
        start,
    ):  # fmt: skip
        kinds = (
            a, a_rows, types.int64, x, x_vectors, types.int64, steps, types.int64, types.int64,
            out, out_rows, types.int64, out_vectors, types.int64, start,
        )  # fmt: skip

        def generate(context, builder, signature, values):
            (a, a_rows, i, x, x_vectors, j, steps, k0, k1, out, out_rows, io, out_vectors, jo,
             start) = read(context, builder, kinds, values)  # fmt: skip
            emit = Emitter(builder, context.get_value_type(kinds[0].dtype))
            a_at = [emit.place(a, a_rows, i, r) for r in range(rows)]
            x_at = [emit.place(x, x_vectors, j, v) for v in range(vectors)]
            out_at = [
                [emit.place(row, out_vectors, jo, v) for v in range(vectors)]
                for row in (emit.place(out, out_rows, io, r) for r in range(rows))
            ]
            if isinstance(kinds[14], types.Array):
                number = [emit.broadcast(builder.load(emit.item(start, i, r))) for r in range(rows)]
                sums = [[value] * vectors for value in number]
            elif isinstance(kinds[14], types.Boolean):
                sums = [[emit.load(place) for place in row] for row in out_at]
            else:
                sums = [[emit.zero] * vectors for _ in range(rows)]

            def step(k):
                here = builder.gep(steps, [builder.shl(k, INT(1))])
                return builder.load(here), builder.load(builder.gep(here, [INT(1)]))

            sums = emit.sum(sums, a_at, x_at, step, k0, k1, across)
            for r in range(rows):
                for v in range(vectors):
                    emit.store(sums[r][v], out_at[r][v])
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return tile
