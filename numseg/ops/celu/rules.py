"""celu of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.ops.elu.rules import slope as elu_slope
from numseg.ops.elu.rules import value as elu


@rule
def value(x, alpha):
    return x if x >= 0 else elu(x / type(x)(alpha), alpha)


@rule
def slope(x, alpha):
    return elu_slope(x / type(x)(alpha), type(alpha)(1))
