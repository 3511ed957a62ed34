"""Which pixels a bin has."""

import math

import numpy as np

from numseg.kernels.jit import rule
from numseg.ops.roi_align.rules import rounded


@rule
def nearest(value):
    """The nearest integer; halves go away from zero, as in C's ``round``."""
    below = math.floor(abs(value))
    size = below + 1 if abs(value) - below >= 0.5 else below
    return -size if value < 0 else size


@rule
def pixel(coordinate, scale, single):
    return nearest(rounded(rounded(coordinate, single) * rounded(scale, single), single))


@rule
def edges(low, high, p, bins, pixels, exact, single):
    """The first pixel of bin p of a box from ``low`` to ``high``, and the one after its last."""
    size = max(high - low + 1, 1)
    if exact:
        start, end = p * size // bins, -(-(p + 1) * size // bins)
    else:
        step = rounded(np.float64(size) / bins, single)
        start = math.floor(rounded(p * step, single))
        end = math.ceil(rounded((p + 1) * step, single))
    return min(max(start + low, 0), pixels), min(max(end + low, 0), pixels)
