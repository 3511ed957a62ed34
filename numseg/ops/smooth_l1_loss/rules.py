"""smooth_l1_loss of one difference, and its slope."""

from numseg.kernels.machine.jit import rule


@rule
def loss_of(d, beta, scale):
    """Of ``d = abs(x - target)``."""
    half = type(d)(0.5)
    return scale * (half * d * d / beta if d < beta else d - half * beta)


@rule
def slope_of(d, beta, scale):
    """Of ``d = x - target``; NaN stays."""
    real = type(d)
    sign = real(0) if d == 0 else (real(-1) if d < 0 else real(1))
    return scale * (d if d != d else (d / beta if abs(d) < beta else sign))
