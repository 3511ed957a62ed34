"""sigmoid of one number, and its gradient from the value."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import exp


@rule
def value(x):
    one, e = type(x)(1), exp(-abs(x))
    return (e if x < 0 else one) / (one + e)


@rule
def gradient(y, gy):
    return gy * y * (type(y)(1) - y)
