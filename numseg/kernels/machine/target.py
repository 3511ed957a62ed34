"""Which vectors and registers the CPU has: the target that kernels are written for."""

from __future__ import annotations

import os
import platform
from typing import NamedTuple

import llvmlite.binding

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
