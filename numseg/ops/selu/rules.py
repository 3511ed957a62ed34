"""selu of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.ops.elu.rules import slope as elu_slope
from numseg.ops.elu.rules import value as elu


@rule
def value(x, alpha, scale):
    return type(x)(scale) * x if x >= 0 else elu(x, scale * alpha)


@rule
def slope(x, alpha, scale):
    return type(x)(scale) if x > 0 else elu_slope(x, scale * alpha)
