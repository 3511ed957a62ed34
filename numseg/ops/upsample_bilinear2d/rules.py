"""Where an output pixel lies among the input pixels."""

import math

from numseg.kernels.machine.jit import rule


@rule
def position(o, line, factor):
    """Along one axis: the pixel before output pixel ``o``, and the part of the way to the next.

    Integers as far as they go, so that no rounding moves a pixel. May lie outside the image.
    """
    u, v, numerator, denominator = line
    if factor != 0:
        at = (2 * o + u) / (2 * factor) + v / 2
        before = math.floor(at)
        return before, at - before
    above, below = (2 * o + u) * numerator + v * denominator, 2 * denominator
    before = above // below
    return before, (above - before * below) / below


@rule
def clamped(o, line, factor, size):
    """The same, on the image."""
    before, part = position(o, line, factor)
    if before < 0:
        return 0, 0.0
    if before >= size - 1:
        return size - 1, 0.0
    return before, part
