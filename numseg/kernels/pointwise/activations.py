"""Activations of one number, which convolutions apply to their results too."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import exp, product, wide


@rule
def rectify(x):
    """``max(x, 0)``; a NaN passes, -0.0 does not."""
    return type(x)(0) if x <= 0 else x


@rule
def sigmoid(x):
    """``1 / (1 + exp(-x))``; nothing overflows. A NaN keeps its sign, or the product of the two in
    silu would have that of either: which, the compiler decides for vectors and tails apart."""
    one, e = type(x)(1), exp(-x if x > 0 else x)
    return (e if x < 0 else one) / (one + e)


@rule
def silu(x):
    """``x * sigmoid(x)``."""
    return x * sigmoid(x)


@rule
def hard_swish(x):
    """``x * min(max(x + 3, 0), 6) / 6``, in float64."""
    x = wide(x)
    real = type(x)
    t = x + real(3)
    return x * (real(0) if t < 0 else (real(6) if t > 6 else t)) / real(6)


@rule
def hard_sigmoid(x, alpha, beta):
    """``min(max(alpha * x + beta, 0), 1)``. No multiply-add is fused: where the line meets 0 and 1
    must be where it is by definition."""
    t = product(alpha, x) + beta
    zero, one = type(t)(0), type(t)(1)
    return zero if t < zero else (one if t > one else t)


@rule
def clip(x, low, high):
    """The nearer one of two bounds, or x; a NaN passes."""
    low, high = type(x)(low), type(x)(high)
    y = low if x < low else x
    return high if y > high else y


@rule
def normalised(x, centre, scale, shift):
    """``(x - centre) * scale + shift``, in the precision of the three."""
    return (x - centre) * scale + shift
