"""silu of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import exp
from numseg.ops.sigmoid.rules import value as sigmoid


@rule
def value(x):
    return x * sigmoid(x)


@rule
def slope(x):
    one, e = type(x)(1), exp(-abs(x))
    larger = one / (one + e)
    smaller = e * larger
    s, rest = (smaller, larger) if x < 0 else (larger, smaller)
    return s * (one + x * rest)
