"""relu of one number, and its gradient."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.activations import rectify

value = rectify


@rule
def gradient(x, gy):
    return type(gy)(0) if x <= 0 else gy
