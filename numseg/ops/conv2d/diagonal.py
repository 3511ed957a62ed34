"""Weights that join each channel with the filter of its own number alone, as bilinear ones do.

Then all but C of the C * C planes of taps are zeros, and the products with them are sums of zeros:
a depthwise convolution has the same values. Unless a number is infinite or NaN: zero times that is
NaN, in every filter. So the numbers are looked at first; like the weights, they are read once, and
what is saved is C - 1 of C multiply-adds.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.reductions.all_finite import all_finite
from numseg.ops.conv2d.geometry import Geometry
from numseg.typing import Array


def suits(g: Geometry) -> bool:
    """Whether weights may be such, by their sizes."""
    return not g.tile and g.groups == 1 and g.f == g.c and g.c > 1


def depthwise(w: Array, g: Geometry, numbers: Array) -> tuple[Array, Geometry]:
    """The weights and the geometry to multiply ``numbers`` with: depthwise ones if they serve."""
    if not suits(g) or w[0, 1, 0, 0] or w[0, 1].any():
        return w, g
    joined: Array = np.asarray(w.any((2, 3)))
    np.fill_diagonal(joined, False)
    if joined.any() or not all_finite(numbers):
        return w, g
    own = w[range(g.c), range(g.c), None]
    own.flags.writeable = False  # as w is, or the kernels would be compiled again
    return own, g._replace(groups=g.c)
