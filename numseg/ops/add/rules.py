"""add of two numbers."""

from numseg.kernels.machine.jit import rule


@rule
def value(x, other):
    return x + other
