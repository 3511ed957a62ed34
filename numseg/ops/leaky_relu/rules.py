"""leaky_relu of one number, and its gradient."""

from numseg.kernels.machine.jit import rule


@rule
def value(x, negative_slope):
    return x if x > 0 else negative_slope * x


@rule
def slope(x, negative_slope):
    return type(negative_slope)(1) if x > 0 else negative_slope
