"""silu of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import activations
from numseg.kernels.pointwise.elementary import exp

value = activations.silu


@rule
def slope(x):
    one, e = type(x)(1), exp(-x if x > 0 else x)  # a NaN keeps its sign, as in the value
    larger = one / (one + e)
    smaller = e * larger
    s, rest = (smaller, larger) if x < 0 else (larger, smaller)
    return s * (one + x * rest)
