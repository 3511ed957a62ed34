"""softplus of one number, and its derivative."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.activations import sigmoid
from numseg.kernels.pointwise.elementary import decay, log1p


@rule
def value(x, beta, threshold):
    real = type(x)
    z = real(beta) * x
    least = x if z > 0 else real(0)
    y = x if z > real(threshold) else least + log1p(decay(-abs(z))) / real(beta)
    return x if z != z else y  # the sign of -abs(NaN) is one in vectors, another in tails


@rule
def slope(x, beta, threshold):
    real = type(x)
    z = real(beta) * x
    return real(1) if z > real(threshold) else sigmoid(z)
