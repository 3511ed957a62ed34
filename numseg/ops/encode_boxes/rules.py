"""encode_boxes along one axis: where a box and its anchor begin and end."""

from numseg.kernels.machine.jit import rule
from numseg.kernels.pointwise.elementary import log


@rule
def center_of(low, high, offset):
    return low + type(low)(0.5) * (high - low + offset)


@rule
def code_of(low, high, low_a, high_a, per_shift, per_scale, offset):
    """The shift and the scale."""
    side, side_a = high - low + offset, high_a - low_a + offset
    apart = center_of(low, high, offset) - center_of(low_a, high_a, offset)
    return per_shift * apart / side_a, per_scale * log(side / side_a)


@rule
def gradients_of(low, high, low_a, high_a, of_shift, of_scale, offset):
    """Of the ends of the box and of its anchor, of gradients times their weights."""
    half = type(low)(0.5)
    side, side_a = high - low + offset, high_a - low_a + offset
    apart = center_of(low, high, offset) - center_of(low_a, high_a, offset)
    center, by_side = half * (of_shift / side_a), of_scale / side
    by_side_a = -(of_shift * apart / side_a + of_scale) / side_a
    return center - by_side, center + by_side, -center - by_side_a, by_side_a - center


@rule
def weights_along(axis, g):
    """What the shift along an axis is multiplied by, and the scale: 0 is x, 1 is y."""
    return (g.weight_x, g.weight_w) if axis == 0 else (g.weight_y, g.weight_h)
