"""softsign of one number, and its derivative."""

from numseg.kernels.machine.jit import rule


@rule
def value(x):
    return x / (type(x)(1) + abs(x))


@rule
def slope(x):
    one = type(x)(1)
    t = one / (one + abs(x))
    return t * t  # where (1 + abs(x))**2 is beyond the largest number, this is not 0
