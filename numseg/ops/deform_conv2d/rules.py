"""Between which pixels of a row or column a sample lies."""

import math

from numseg.kernels.machine.jit import rule


@rule
def neighbours(place, size, clamped, flat_start):
    """The pixel at or before a place, its weight and that of the next one, and 1 if the weights
    change with the place.

    The image goes on with zeros: pixel -1, and pixels ``size`` and ``size + 1``, which are those
    of a place outside.
    """
    if not ((0 if clamped else -1) <= place < size):
        nothing = 0.0 if place == place else place  # NaN
        return size, nothing, nothing, nothing
    low = math.floor(place)
    after = place - low
    if clamped and low == size - 1:
        return low, 1.0, 0.0, 0.0
    return low, 1.0 - after, after, 0.0 if flat_start and place == -1 else 1.0
