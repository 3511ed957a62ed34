"""Which pixels a bin has."""

import math

import numpy as np

from numseg.kernels.machine.jit import rule
from numseg.ops.roi_align.rules import rounded


@rule
def nearest(value, even):
    """The nearest integer; halves go away from zero, as in C's ``round``, or to the even one."""
    below = math.floor(abs(value))
    rest = abs(value) - below
    up = rest > 0.5 or (rest == 0.5 and (not even or below % 2 == 1))
    size = below + 1 if up else below
    return -size if value < 0 else size


@rule
def ends(low, high, g):
    """Where a box begins along one axis of the image, and its size."""
    scale, high = rounded(g.scale, g.single), rounded(high, g.single)
    if not g.whole:
        high = rounded(high + 1, g.single)
    low = rounded(rounded(low, g.single) * scale, g.single)
    high = rounded(high * scale, g.single)
    if not g.whole:
        return low, rounded(high - low, g.single)
    first, last = nearest(low, g.even), nearest(high, g.even)
    return np.float64(first), rounded(max(last - first + 1, 1), g.single)


@rule
def edges(start, size, p, bins, pixels, g):
    """The first pixel of bin p, and the one after its last."""
    if size <= 0:
        return 0, 0
    if g.exact:
        whole = int(size)
        begin, end = p * whole // bins + start, -(-(p + 1) * whole // bins) + start
    else:
        step = rounded(size / bins, g.single)
        begin, end = rounded(p * step, g.single), rounded((p + 1) * step, g.single)
        if g.whole:
            begin, end = math.floor(begin) + start, math.ceil(end) + start
        else:
            begin = math.floor(rounded(begin + start, g.single))
            end = math.ceil(rounded(end + start, g.single))
    return min(max(int(begin), 0), pixels), min(max(int(end), 0), pixels)
