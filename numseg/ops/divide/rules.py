"""divide of two numbers, and what goes to its gradients."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import wide


@rule
def value(x, other):
    return x / other


@rule
def grad_x(x, other, gy):
    return gy / other


@rule
def grad_other(x, other, gy):
    other = wide(other)
    return -(wide(x) / other) * (wide(gy) / other)
