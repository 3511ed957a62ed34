"""pow of two numbers, and what goes to its gradients."""

import math

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import wide


@rule
def value(x, other):
    return x**other


@rule
def grad_x(x, other, gy):
    real = type(x)
    if other == real(0):
        return wide(real(0))
    return wide(gy) * wide(other) * wide(x) ** wide(other - real(1))


@rule
def grad_other(x, other, gy):
    real = type(x)
    if x == real(0) and other >= real(0):
        return wide(real(0))
    logarithm = (
        math.log(wide(x)) if x > real(0) else wide(real(math.nan if x != real(0) else -math.inf))
    )
    return wide(gy) * wide(x) ** wide(other) * logarithm
