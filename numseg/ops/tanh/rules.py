"""tanh of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import elementary


@rule
def value(x):
    return elementary.tanh(x)


@rule
def slope(x):
    real = type(x)
    e = elementary.decay(-real(2) * abs(x))
    below = real(1) + e
    return real(4) * e / (below * below)
