"""Where the samples of a bin lie, and between which pixels."""

import math

import numpy as np

from numseg.kernels.machine.jit import rule


@rule
def rounded(value, single):
    """``value`` as float32 holds it, if asked to. A sum, product or quotient of float32 numbers in
    float64, rounded so, is the float32 operation's result to the bit."""
    return np.float64(np.float32(value)) if single else np.float64(value)


@rule
def span(low, high, scale, aligned, single):
    """Start and size of a box along one axis of the image, and whether the size is the box's own:
    unless aligned, a smaller one counts as 1."""
    scale, shift = rounded(scale, single), 0.5 if aligned else 0.0
    start = rounded(rounded(rounded(low, single) * scale, single) - shift, single)
    end = rounded(rounded(rounded(high, single) * scale, single) - shift, single)
    size = rounded(end - start, single)
    if aligned or size >= 1:
        return start, size, True
    return start, 1.0, False


@rule
def samples(step, ratio):
    """How many samples a bin of size ``step`` has."""
    return ratio if ratio > 0 else max(math.ceil(step), 0)


@rule
def position(start, step, p, i, count, single):
    """Sample i of bin p."""
    within = rounded(rounded((i + 0.5) * step, single) / count, single)
    return rounded(rounded(start + rounded(p * step, single), single) + within, single)


@rule
def neighbours(place, size, clamp):
    """Whether a sample counts, the pixels before and after it, the weight of the one after, and
    1 if that weight grows with the place (0 where the place is clamped to the image)."""
    if size == 0 or not (clamp or -1 <= place <= size):
        return False, 0, 0, 0.0, 0.0
    low = int(max(place, 0.0))
    if low >= size - 1:
        return True, size - 1, size - 1, 0.0, 0.0
    if place < 0:
        return True, 0, 1, 0.0, 0.0
    return True, low, low + 1, place - low, 1.0
