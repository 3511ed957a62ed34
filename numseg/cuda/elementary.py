"""What rules call from :mod:`numseg.kernels.pointwise.elementary`, on CUDA: NVIDIA's libdevice.

In Numba's simulator rules run as they do on the CPU.
"""

from __future__ import annotations

import functools
import importlib
import math
from typing import Any

from numseg.cuda.runtime import simulated
from numseg.kernels.pointwise import elementary


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

    @overload(elementary.exp)
    def exp(x):
        return lambda x: math.exp(x)
