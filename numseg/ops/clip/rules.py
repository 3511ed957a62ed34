"""clip of one number, and its gradient."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise import activations


@rule
def value(x, low, high, inside):
    return activations.clip(x, low, high)


@rule
def gradient(x, gy, low, high, inside):
    low, high = type(x)(low), type(x)(high)
    kept = (low <= x and x <= high) if inside else (low < x and x < high)
    return gy if kept else type(gy)(0)
