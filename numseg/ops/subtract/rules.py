"""subtract of two numbers, and what goes to the gradient of the second."""

from numseg.kernels.machine.jit import rule


@rule
def value(x, other):
    return x - other


@rule
def grad_other(x, other, gy):
    return -gy
