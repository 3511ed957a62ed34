"""What the machine can do at most, measured in the same run as what is compared with it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from numseg.kernels.machine.emitter import INT, Emitter
from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.memcpy import copy
from numseg.kernels.machine.micro_kernel import micro_kernel
from numseg.kernels.machine.target import TARGET
from numseg.kernels.machine.threads import get_num_threads, launch

SUMS = 12
"""Registers of running sums: enough to hide the latency of a multiply-add."""


class Limits(NamedTuple):
    """Of all threads together."""

    fma_gflops: float
    """Multiply-adds of whole vectors, float32, on registers alone."""
    micro_kernel_gflops: float
    """The micro-kernel, on panels that stay in the first-level cache."""
    copy_gbytes: float
    """Bytes read plus bytes written, each second, by a copy that no cache holds."""

    def share(self, flops: float, size: float, milliseconds: float) -> float:
        """How near a call is to the nearer of the two limits: 1 is at it."""
        most = max(self.fma_gflops, self.micro_kernel_gflops)
        return max(flops / most, size / self.copy_gbytes) / 1e6 / milliseconds


def _multiply_add_only(typing: Any, start: Any, count: Any) -> Any:
    """``count`` rounds of multiply-adds on SUMS vectors, from registers to registers; their sum."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        emit: Any = Emitter(builder, ir.FloatType())
        factor = emit.broadcast(values[0])
        before, loop = builder.block, builder.append_basic_block("rounds")
        builder.branch(loop)
        builder.position_at_end(loop)
        left = builder.phi(INT)
        sums = [builder.phi(emit.vector) for _ in range(SUMS)]
        added = sums
        for _ in range(4):
            added = [emit.multiply_add(factor, factor, total) for total in added]
        following = builder.sub(left, INT(4))
        left.add_incoming(values[1], before)
        left.add_incoming(following, loop)
        for number, (phi, total) in enumerate(zip(sums, added, strict=True)):
            first = [float(number + lane) for lane in range(emit.vector.count)]  # no two alike
            phi.add_incoming(ir.Constant(emit.vector, first), before)
            phi.add_incoming(total, loop)
        after = builder.append_basic_block("rounds.end")
        builder.cbranch(builder.icmp_signed(">", following, INT(0)), loop, after)
        builder.position_at_end(after)
        total = added[0]
        for term in added[1:]:
            total = builder.fadd(total, term)
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.float32(types.float32, types.int64), generate


_only: Any = intrinsic(_multiply_add_only)
_tile: Any = micro_kernel(8, 3) if TARGET.registers == 32 else micro_kernel(4, 3)
_ROWS = 8 if TARGET.registers == 32 else 4
_STEPS = 128
_ROUNDS = 4000


@kernel()
def _multiply_adds(start: Any, stop: Any, rounds: Any, out: Any) -> None:
    for unit in range(start, stop):
        out[unit] = _only(out[unit], rounds)


@kernel()
def _tiles(
    start: Any, stop: Any, rounds: Any, a: Any, x: Any, rows: Any, vectors: Any, to: Any, steps: Any
) -> None:
    out = np.empty(4096, np.float32)
    for _unit in range(start, stop):
        for _ in range(rounds):
            _tile(a, rows, 0, x, vectors, 0, steps, 0, len(steps), out, to, 0, vectors, 0, None)


@kernel()
def _copies(start: Any, stop: Any, source: Any, target: Any) -> None:
    for unit in range(start, stop):
        copy(source[unit], target[unit])


def measure(seconds: float = 1.0) -> Limits:
    """The best of many tries each, in turns; the best is what a limit is."""
    threads = get_num_threads()
    lanes = TARGET.vector_bytes // 4
    out = np.zeros(threads, np.float32)
    panel = np.ones(_STEPS * 3 * lanes + 8 * lanes, np.float32)
    # rows of their own: were two results to share a place, LLVM would not compute the first
    rows, vectors, to = (np.arange(8, dtype=np.int64) * step for step in (1, lanes, 3 * lanes))
    k = np.arange(_STEPS, dtype=np.int64)
    steps = np.stack([k, 2 * lanes * k], 1)  # vectors of pixels overlap, as a convolution's do
    source = np.ones((64, 1 << 18), np.float32)
    target = np.empty_like(source)
    much = 10**9  # work enough for all threads
    fma, tile, move = _best(
        [
            lambda: launch(_multiply_adds, threads, much, _ROUNDS * _STEPS, out),
            lambda: launch(_tiles, threads, much, _ROUNDS, panel, panel, rows, vectors, to, steps),
            lambda: launch(_copies, len(source), much, source, target),
        ],
        seconds,
    )
    flops = 2e-9 * lanes * _ROUNDS * _STEPS * threads
    return Limits(flops * SUMS / fma, flops * 3 * _ROWS / tile, 2e-9 * source.nbytes / move)


def _best(calls: list[Any], seconds: float) -> list[float]:
    """The shortest time of each call, in seconds."""
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < 4 or time.perf_counter() < end:
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
    return [min(found[1:]) for found in times]  # the first may have compiled
