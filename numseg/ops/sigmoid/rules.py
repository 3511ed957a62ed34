"""sigmoid of one number, and its gradient from the value."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import activations

value = activations.sigmoid


@rule
def gradient(y, gy):
    return gy * y * (type(y)(1) - y)
