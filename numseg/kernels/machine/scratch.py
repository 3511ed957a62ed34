"""Scratch arrays of a kernel: where they begin, and zeros."""

from __future__ import annotations

from numseg.kernels.machine.jit import rule
from numseg.kernels.machine.target import TARGET


@rule
def aligned(array):
    """The part of an array that begins where a vector ends: a load that lies in two lines of the
    cache takes twice as long. Allocate a vector more."""
    return array[-array.ctypes.data % TARGET.vector_bytes // array.itemsize :]


@rule
def clear(line):
    for v in range(len(line)):
        line[v] = 0
