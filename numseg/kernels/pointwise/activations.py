"""Activations of one number, which convolutions apply to their results too."""

from numseg.kernels.machine.jit import rule


@rule
def rectify(x):
    """``max(x, 0)``; a NaN passes, -0.0 does not."""
    return type(x)(0) if x <= 0 else x
