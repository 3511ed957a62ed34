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

import contextlib
import os
import platform
from typing import Any, NamedTuple

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from numseg.errors import ArgumentError


class Target(NamedTuple):
    """What the micro-kernel knows of a CPU."""

    name: str
    vector_bytes: int
    registers: int
    fma: bool


TARGETS = {
    "avx512": Target("avx512", 64, 32, True),
    "avx2": Target("avx2", 32, 16, True),
    "neon": Target("neon", 16, 32, True),
    "plain": Target("plain", 16, 16, False),
}


def host_target() -> Target:
    """The CPU's target, or the one that ``NUMSEG_SIMD`` names: any of them runs on any CPU, at a
    price, for LLVM splits what the CPU does not have."""
    if chosen := os.environ.get("NUMSEG_SIMD"):
        if chosen not in TARGETS:
            raise ArgumentError(f"NUMSEG_SIMD must be one of {', '.join(TARGETS)}, got {chosen!r}")
        return TARGETS[chosen]
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return TARGETS["avx512"]
    if features.get("avx2") and features.get("fma"):
        return TARGETS["avx2"]
    return TARGETS["neon" if platform.machine() in ("arm64", "aarch64") else "plain"]


TARGET = host_target()

INT = ir.IntType(64)


def read(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    """Arrays as the addresses of their first elements; the rest as it is."""
    return [
        context.make_array(kind)(context, builder, value).data
        if isinstance(kind, types.Array) else value
        for value, kind in zip(values, kinds, strict=True)
    ]  # fmt: skip


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
        swap = 1
        while swap < len(lanes):  # exchange the off-diagonal quarters of squares twice as wide
            upper = [j if not j & swap else j - swap + len(lanes) for j in lanes]
            lower = [j + swap if not j & swap else j + len(lanes) for j in lanes]
            for i in lanes:
                if not i & swap:
                    pair = lines[i], lines[i + swap]
                    lines[i], lines[i + swap] = emit.pick(*pair, upper), emit.pick(*pair, lower)
            swap *= 2
        for j in lanes:
            emit.store(lines[j], line(target_at, values[4], values[5], j))
        return context.get_dummy_value()

    return types.void(*kinds), generate


transpose_square: Any = intrinsic(_transpose_square)


AHEAD = 16 * 1024
"""Bytes. Who reads a long array, in rows or beside another, fetches what lies so much further on:
by itself the processor does not look as far ahead as memory takes to answer."""


class Emitter:
    """Writes LLVM IR that speaks of whole vectors of one type: as wide as the target's, or of as
    many lanes as it is told, which LLVM then cuts into vectors that the CPU has."""

    def __init__(self, builder, scalar, lanes=None):
        self.builder = builder
        self.bytes = {"float": 4, "double": 8, "i32": 4, "i64": 8}[str(scalar)]
        self.vector = ir.VectorType(scalar, lanes or TARGET.vector_bytes // self.bytes)
        self.zero = ir.Constant(self.vector, None)

    def item(self, table, first, number):
        """The address of ``table[first + number]``."""
        return self.builder.gep(table, [self.builder.add(first, INT(number))])

    def place(self, base, table, first, number):
        """The address ``base + table[first + number]``."""
        return self.builder.gep(base, [self.builder.load(self.item(table, first, number))])

    def load(self, place):
        pointer = self.builder.bitcast(place, self.vector.as_pointer())
        return self.builder.load(pointer, align=self.bytes)  # vectors lie anywhere

    def taps(self, place, number, step):
        """Vectors of every ``step``-th number, 1 or 2: from ``place`` on, from the next number on,
        and so forth. At least as many as a step has; reads nothing behind the last of them."""
        count = self.vector.count

        def after(numbers):
            return self.builder.gep(place, [INT(numbers)])

        if step == 1:
            return [self.load(after(j)) for j in range(number)]
        halves = self.load(place), self.load(after(count))
        taps = [self.pick(*halves, range(j, 2 * count, 2)) for j in range(2)]
        for j in range(2, number):  # the one before the last, moved on by a lane
            last = self.broadcast(self.builder.load(after(2 * count - 2 + j)))
            taps.append(self.pick(taps[j - 2], last, range(1, count + 1)))
        return taps

    @contextlib.contextmanager
    def vectors(self, begin, count):
        """A loop over vectors of ``count`` numbers, at least one. The last ends with them."""
        step, last = INT(self.vector.count), self.builder.sub(count, INT(self.vector.count))
        with cgutils.for_range_slice(self.builder, begin, count, step) as (q, _):
            yield self.builder.select(self.builder.icmp_signed("<", q, last), q, last)

    def store(self, value, place, align=None):
        pointer = self.builder.bitcast(place, self.vector.as_pointer())
        return self.builder.store(value, pointer, align=align or self.bytes)

    def fetch(self, place, caches=2):
        """Have it brought into the larger caches, or into all 3, or nothing if it is nowhere."""
        address = self.builder.bitcast(place, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, *[number] * 3])
        name = "llvm.prefetch.p0i8"
        prefetch = cgutils.get_or_insert_function(self.builder.module, kind, name)
        self.builder.call(prefetch, [address, number(0), number(caches), number(1)])

    def from_lane(self, first):
        """Which lanes are not before the given one."""
        kind = ir.VectorType(INT, self.vector.count)
        lanes = ir.Constant(kind, list(range(self.vector.count)))
        return self.builder.icmp_signed(">=", lanes, self.broadcast(first))

    def only(self, lanes, vector):
        """Zeros in the others."""
        return self.builder.select(lanes, vector, self.zero)

    def broadcast(self, number):
        """The number, of whatever type, in every lane."""
        nothing = ir.Constant(ir.VectorType(number.type, self.vector.count), ir.Undefined)
        lane = self.builder.insert_element(nothing, number, ir.IntType(32)(0))
        lanes = ir.VectorType(ir.IntType(32), self.vector.count)
        return self.builder.shuffle_vector(lane, lane, ir.Constant(lanes, None))

    def pick(self, a, b, lanes):
        """The given lanes of two vectors, b's numbered on from a's."""
        kind = ir.VectorType(ir.IntType(32), len(lanes))
        return self.builder.shuffle_vector(a, b, ir.Constant(kind, list(lanes)))

    def lane_sum(self, vector):
        """Halves are added, then halves of these."""
        count = self.vector.count
        while count > 1:
            count //= 2
            halves = (self.pick(vector, vector, range(n, n + count)) for n in (0, count))
            vector = self.builder.fadd(*halves)
        return self.builder.extract_element(vector, ir.IntType(32)(0))

    def multiply_add(self, a, x, total):
        if not TARGET.fma:
            return self.builder.fadd(self.builder.fmul(a, x), total)
        fma = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(self.vector, [self.vector] * 3),
            f"llvm.fma.v{self.vector.count}f{8 * self.bytes}",
        )
        return self.builder.call(fma, [a, x, total])

    def sum(self, starts, a_at, x_at, step, k0, k1, across=False):
        """The loop over k; ``step(k)`` is how far on from the first the numbers of both sides lie.
        The sums are phi nodes, so that LLVM keeps each in a register."""
        builder = self.builder
        before = builder.block
        loop = builder.append_basic_block("sum")
        after = builder.append_basic_block("sum.end")
        builder.cbranch(builder.icmp_signed("<", k0, k1), loop, after)

        builder.position_at_end(loop)
        k = builder.phi(INT)
        sums = [[builder.phi(self.vector) for _ in row] for row in starts]
        a_step, x_step = step(k)
        xs = [self.load(builder.gep(at, [x_step])) for at in x_at]
        added = []
        for at, row in zip(a_at, sums, strict=True):
            a_here = builder.gep(at, [a_step])
            a = self.load(a_here) if across else self.broadcast(builder.load(a_here))
            added.append([self.multiply_add(a, x, s) for x, s in zip(xs, row, strict=True)])
        following = builder.add(k, INT(1))
        again = builder.cbranch(builder.icmp_signed("<", following, k1), loop, after)
        again.set_metadata("llvm.loop", _rolled(builder.module))
        k.add_incoming(k0, before)
        k.add_incoming(following, loop)

        builder.position_at_end(after)
        ends = [[builder.phi(self.vector) for _ in row] for row in starts]
        for r, row in enumerate(starts):
            for v, begin in enumerate(row):
                for phi in sums[r][v], ends[r][v]:
                    phi.add_incoming(begin, before)
                    phi.add_incoming(added[r][v], loop)
        return ends


def _rolled(module):
    """Loop metadata: do not unroll. LLVM would, and then keep sums in memory."""
    option = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    node = module.add_metadata([option, option])
    node.operands = (node, option)  # a loop's node names itself first
    return node
