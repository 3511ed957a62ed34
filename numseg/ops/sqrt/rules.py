"""sqrt of one number, and its gradient from the value."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import elementary


@rule
def value(x):
    return elementary.sqrt(x)


@rule
def gradient(y, gy):
    return gy / (y + y)
