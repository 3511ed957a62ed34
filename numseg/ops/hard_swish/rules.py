"""hard_swish of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import activations
from numseg.kernels.pointwise.elementary import wide

value = activations.hard_swish


@rule
def slope(x):
    x = wide(x)
    real = type(x)
    return real(0) if x <= -3 else (real(1) if x >= 3 else x / real(3) + real(0.5))
