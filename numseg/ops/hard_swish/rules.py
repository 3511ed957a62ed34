"""hard_swish of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import wide


@rule
def value(x):
    x = wide(x)
    real = type(x)
    t = x + real(3)
    return x * (real(0) if t < 0 else (real(6) if t > 6 else t)) / real(6)


@rule
def slope(x):
    x = wide(x)
    real = type(x)
    return real(0) if x <= -3 else (real(1) if x >= 3 else x / real(3) + real(0.5))
