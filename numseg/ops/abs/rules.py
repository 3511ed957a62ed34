"""abs of one number, and its derivative."""

from numseg.kernels.machine.jit import rule


@rule
def value(x):
    return abs(x)


@rule
def slope(x):
    real = type(x)
    return real(1) if x > 0 else (real(-1) if x < 0 else real(0))
