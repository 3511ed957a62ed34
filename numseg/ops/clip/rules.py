"""clip of one number, and its gradient."""

from numseg.kernels.machine.jit import rule


@rule
def value(x, low, high, inside):
    low, high = type(x)(low), type(x)(high)
    y = low if x < low else x
    return high if y > high else y


@rule
def gradient(x, gy, low, high, inside):
    low, high = type(x)(low), type(x)(high)
    kept = (low <= x and x <= high) if inside else (low < x and x < high)
    return gy if kept else type(gy)(0)
