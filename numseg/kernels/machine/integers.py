"""Integers, in Python and in kernels: what is nobody's own."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import rule


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


@rule
def multiples(count, step):
    """0, step, 2 step, ... (``np.arange`` takes longer to compile)."""
    numbers = np.empty(count, np.int64)
    for i in range(count):
        numbers[i] = i * step
    return numbers


@rule
def fill_multiples(table, count, step):
    """0, step, 2 step, ..., of which there are so many: a tile that ends beyond repeats the
    last."""
    for i in range(len(table)):
        table[i] = min(i, count - 1) * step
