"""What rules call from ``elementary`` and ``normal`` of :mod:`numseg.kernels.pointwise`, on CUDA:
NVIDIA's libdevice.

In Numba's simulator rules run as they do on the CPU.
"""

from __future__ import annotations

import functools
import importlib
import math
from typing import Any

import numpy as np

from numseg.cuda.runtime import simulated
from numseg.kernels.pointwise import elementary, normal


@functools.cache
def register() -> None:
    """Tell Numba's CUDA target of them, once."""
    if simulated():
        return
    overload: Any = importlib.import_module("numba.cuda.extending").overload
    device: Any = importlib.import_module("numba.cuda.libdevice")

    def double(x: Any) -> bool:
        return bool(x.bitwidth == 64)

    @overload(elementary.wide)
    def wide(x):
        return lambda x: x

    @overload(elementary.product)
    def product(a, b):
        if double(a):
            return lambda a, b: device.dmul_rn(a, b)
        return lambda a, b: device.fmul_rn(a, b)

    @overload(elementary.sqrt)
    def sqrt(x):
        return lambda x: math.sqrt(x)

    @overload(elementary.floor)
    def floor(x):
        if double(x):
            return lambda x: device.floor(x)
        return lambda x: device.floorf(x)

    @overload(elementary.rounded_off)
    def rounded_off(a, b, rounded):
        if double(a):
            return lambda a, b, rounded: device.fma_rn(a, b, -rounded)
        return lambda a, b, rounded: device.fmaf_rn(a, b, -rounded)

    @overload(elementary.exp)
    @overload(elementary.decay)
    def exp(x):
        return lambda x: math.exp(x)

    @overload(elementary.decay_of_sum)
    def decay_of_sum(x, low):
        return lambda x, low: math.exp(x) + math.exp(x) * low

    @overload(elementary.log)
    @overload(elementary.log_of_normal)
    def log(x):
        return lambda x: math.log(x)

    @overload(elementary.expm1)
    def expm1(x):
        return lambda x: math.expm1(x)

    @overload(elementary.tanh)
    def tanh(x):
        return lambda x: math.tanh(x)

    @overload(normal.tail_ratio)
    def tail_ratio(a):
        real = np.float64 if double(a) else np.float32
        half, root = real(0.5), real(math.sqrt(0.5))
        if double(a):
            return lambda a: device.erfcx(a * root) * half
        return lambda a: device.erfcxf(a * root) * half
