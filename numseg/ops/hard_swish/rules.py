"""hard_swish of one number, and its derivative."""

from numseg.kernels.machine.jit import rule


@rule
def value(x):
    t = x + 3.0
    return x * (0.0 if t < 0.0 else (6.0 if t > 6.0 else t)) / 6.0


@rule
def slope(x):
    return 0.0 if x <= -3.0 else (1.0 if x >= 3.0 else x / 3.0 + 0.5)
