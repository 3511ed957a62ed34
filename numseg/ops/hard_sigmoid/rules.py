"""hard_sigmoid of one number, and its derivative. No multiply-add is fused: where the line meets 0
and 1 must be where it is by definition."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import product


@rule
def value(x, alpha, beta):
    t = product(alpha, x) + beta
    zero, one = type(t)(0), type(t)(1)
    return zero if t < zero else (one if t > one else t)


@rule
def gradient(x, gy, alpha, beta):
    t = product(alpha, x) + beta
    return alpha * gy if t > 0 and t < 1 else type(alpha)(0)
