"""Writing LLVM IR that speaks of whole vectors: what intrinsics are made with."""

from __future__ import annotations

import contextlib
import platform
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from numseg.kernels.machine.target import TARGET

INT = ir.IntType(64)

MACHINE = platform.machine().lower()

PREFETCH_BYTES = 16 * 1024
"""Bytes. Who reads a long array, in rows or beside another, fetches what lies so much further on:
by itself the processor does not look as far ahead as memory takes to answer."""


def read(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    """Arrays as the addresses of their first elements; the rest as it is."""
    return [
        context.make_array(kind)(context, builder, value).data
        if isinstance(kind, types.Array) else value
        for value, kind in zip(values, kinds, strict=True)
    ]  # fmt: skip


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

    def strided(self, place, number, step):
        """Vectors of every ``step``-th number, 1 or 2: from ``place`` on, from the next number on,
        and so forth. At least as many as a step has; reads nothing behind the last of them."""
        count = self.vector.count

        def after(numbers):
            return self.builder.gep(place, [INT(numbers)])

        if step == 1:
            return [self.load(after(j)) for j in range(number)]
        halves = self.load(place), self.load(after(count))
        taps = [self.shuffle(*halves, range(j, 2 * count, 2)) for j in range(2)]
        for j in range(2, number):  # the one before the last, moved on by a lane
            last = self.broadcast(self.builder.load(after(2 * count - 2 + j)))
            taps.append(self.shuffle(taps[j - 2], last, range(1, count + 1)))
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

    def loads_wait(self, vectors):
        """Loads after this are not moved before these vectors are known. LLVM loads early what is
        needed late, and then has no registers left: sums of a tile would go to memory and back.
        An instruction without text says that it reads them, and perhaps memory."""
        lanes = 16 // self.bytes
        constraint = {"x86_64": "v", "amd64": "v", "arm64": "w", "aarch64": "w"}.get(MACHINE)
        if constraint is None or self.vector.count < lanes:
            return
        low = [self.shuffle(v, v, range(lanes)) for v in vectors]  # what any CPU has a register for
        kind = ir.FunctionType(ir.VoidType(), [v.type for v in low])
        constraints = ",".join([constraint] * len(low) + ["~{memory}"])
        self.builder.asm(kind, "", constraints, low, side_effect=True)

    def prefetch(self, place, caches=2):
        """Have it brought into the larger caches, or into all 3, or nothing if it is nowhere."""
        address = self.builder.bitcast(place, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, *[number] * 3])
        name = "llvm.prefetch.p0i8"
        prefetch = cgutils.get_or_insert_function(self.builder.module, kind, name)
        self.builder.call(prefetch, [address, number(0), number(caches), number(1)])

    def lanes_from(self, first):
        """Which lanes are not before the given one."""
        kind = ir.VectorType(INT, self.vector.count)
        lanes = ir.Constant(kind, list(range(self.vector.count)))
        return self.builder.icmp_signed(">=", lanes, self.broadcast(first))

    def masked(self, lanes, vector):
        """Zeros in the others."""
        return self.builder.select(lanes, vector, self.zero)

    def broadcast(self, number):
        """The number, of whatever type, in every lane."""
        nothing = ir.Constant(ir.VectorType(number.type, self.vector.count), ir.Undefined)
        lane = self.builder.insert_element(nothing, number, ir.IntType(32)(0))
        lanes = ir.VectorType(ir.IntType(32), self.vector.count)
        return self.builder.shuffle_vector(lane, lane, ir.Constant(lanes, None))

    def shuffle(self, a, b, lanes):
        """The given lanes of two vectors, b's numbered on from a's."""
        kind = ir.VectorType(ir.IntType(32), len(lanes))
        return self.builder.shuffle_vector(a, b, ir.Constant(kind, list(lanes)))

    def lane_sum(self, vector):
        """Halves are added, then halves of these."""
        count = self.vector.count
        while count > 1:
            count //= 2
            halves = (self.shuffle(vector, vector, range(n, n + count)) for n in (0, count))
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
            self.loads_wait(added[-1])
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
