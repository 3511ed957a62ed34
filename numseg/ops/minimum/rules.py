"""minimum of two numbers, and what goes to its gradients."""

from numseg.kernels.machine.jit import rule


@rule
def value(x, other):
    return x if x <= other or x != x else other


@rule
def grad_x(x, other, gy):
    real = type(gy)
    return real(0) if x > other else (gy * real(0.5) if x == other else gy)


@rule
def grad_other(x, other, gy):
    real = type(gy)
    return real(0) if x < other else (gy * real(0.5) if x == other else gy)
