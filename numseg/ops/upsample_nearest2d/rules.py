"""Which pixel is copied."""

from numseg.kernels.machine.jit import rule
from numseg.ops.upsample_bilinear2d.rules import position


@rule
def source(o, line, factor, rounding, size):
    """Along one axis, for output pixel ``o``."""
    before, part = position(o, line, factor)
    if rounding == 1:  # ceil
        before += part > 0
    elif rounding == 2:  # round_prefer_floor
        before += part > 0.5
    elif rounding == 3:  # round_prefer_ceil
        before += part >= 0.5
    return min(max(before, 0), size - 1)
