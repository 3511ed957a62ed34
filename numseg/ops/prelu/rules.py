"""prelu of one number and its slope, and what goes to its gradients."""

from numseg.kernels.machine.jit import rule


@rule
def value(x, weight):
    return x if x > 0 else weight * x


@rule
def grad_x(x, weight, gy):
    return gy if x > 0 else weight * gy


@rule
def grad_other(x, weight, gy):
    return type(gy)(0) if x > 0 else x * gy
