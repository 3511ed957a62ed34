"""Tables that follow from sizes alone: made on the CPU once, and kept on the GPU that asks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numseg.cuda import runtime
from numseg.cuda.arrays import Cuda
from numseg.typing import Array


def kept(make: Callable[..., tuple[Array, ...]]) -> Callable[..., tuple[Any, ...]]:
    """The arrays that ``make`` returns, on the current GPU; those of the last calls are remembered.
    Integers go there as int32."""

    @functools.lru_cache(maxsize=256)
    def on(device: int, *sizes: Any) -> tuple[Any, ...]:
        return tuple(Cuda.from_host(narrow(array)) for array in make(*sizes))

    @functools.wraps(make)
    def tables(*sizes: Any) -> tuple[Any, ...]:
        current = runtime.cuda.get_current_device()
        return on(getattr(current, "id", 0), *sizes)  # the simulator's has no number

    return tables


def narrow(array: Array) -> Array:
    """Integers as int32: planes, rows and columns are counted with these."""
    return array if array.dtype.kind == "f" else array.astype(np.int32)
