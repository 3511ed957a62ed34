"""hard_sigmoid of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import activations
from numseg.kernels.pointwise.elementary import product

value = activations.hard_sigmoid


@rule
def gradient(x, gy, alpha, beta):
    t = product(alpha, x) + beta
    return alpha * gy if t > 0 and t < 1 else type(alpha)(0)
