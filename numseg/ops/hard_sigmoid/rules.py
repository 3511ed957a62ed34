"""hard_sigmoid of one number."""

from numseg.kernels.machine.jit import rule


@rule
def clamped(t):
    """``min(max(t, 0), 1)``; a NaN passes."""
    return 0.0 if t < 0.0 else (1.0 if t > 1.0 else t)
