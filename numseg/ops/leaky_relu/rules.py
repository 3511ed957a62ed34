"""The slope of leaky_relu."""

from numseg.kernels.machine.jit import rule


@rule
def slope_at(x, negative_slope):
    """1 above 0; the other slope at 0, below, and where x is NaN."""
    return 1.0 if x > 0 else negative_slope
