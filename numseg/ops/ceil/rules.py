"""ceil of one number, and its gradient."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import elementary


@rule
def value(x):
    return -elementary.floor(-x)


@rule
def gradient(x, gy):
    return type(gy)(0)
