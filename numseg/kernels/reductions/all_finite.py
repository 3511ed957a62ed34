"""Whether all numbers are finite."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.typing import Array

BLOCK = 16384
"""Numbers of a unit."""


@kernel()
def _largest(start, stop, bits, largest):
    """In each block, of the bits of absolute values: in the order of the values, NaN last."""
    for unit in range(start, stop):
        unsigned = bits.dtype.type
        part, top = bits[unit * BLOCK : (unit + 1) * BLOCK], unsigned(0)
        for i in range(len(part)):
            absolute = unsigned(part[i] << unsigned(1))  # Numba shifts in 64 bits: no sign is left
            top = absolute if absolute > top else top
        largest[unit] = top


def all_finite(x: Array) -> bool:
    """No infinity in x, and no NaN."""
    if x.size <= BLOCK:
        return bool(np.isfinite(x).all())  # begins sooner
    unsigned = f"u{x.itemsize}"
    largest = np.zeros(-(-x.size // BLOCK), unsigned)
    launch(_largest, len(largest), x.size, x.reshape(-1).view(unsigned), largest)
    infinity = np.array(np.inf, x.dtype).view(unsigned) << largest.dtype.type(1)
    return bool((largest < infinity).all())
