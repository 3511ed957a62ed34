"""exp of one number, and its derivative from the value."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import elementary


@rule
def value(x):
    return elementary.exp(x)


@rule
def slope(y):
    return y
