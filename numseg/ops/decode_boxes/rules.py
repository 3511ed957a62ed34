"""decode_boxes along one axis: where an anchor begins and ends, and a code."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import exp


@rule
def ends_of(shift, scale, low, high, per_shift, per_scale, g):
    """Where the box begins and ends."""
    half = type(low)(0.5)
    side = high - low + g.offset
    center, size = low + half * side, scale / per_scale
    center += shift / per_shift * side
    reach = half * (exp(g.most if size > g.most else size) * side)
    return center - reach, center + reach - g.last


@rule
def gradients_of(shift, scale, low, high, of_low, of_high, per_shift, per_scale, g):
    """Of the code and of the ends of the anchor."""
    real = type(low)
    half = real(0.5)
    side, size = high - low + g.offset, scale / per_scale
    factor = exp(g.most if size > g.most else size)
    by_center, by_side = of_low + of_high, half * (of_high - of_low)
    of_scale = real(0) if size > g.most else by_side * factor * side / per_scale
    of_side = by_center * (shift / per_shift) + by_side * factor
    center = half * by_center
    return by_center * side / per_shift, of_scale, center - of_side, center + of_side
