"""elu of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import decay, expm1


@rule
def value(x, alpha):
    return x if x >= 0 else type(x)(alpha) * expm1(x)


@rule
def slope(x, alpha):
    real = type(x)
    return real(1) if x > 0 else real(alpha) * decay(x)
