"""What kernels know of a call of gaussian_filter."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.errors import ArgumentError
from numseg.typing import Array

METHODS = ("exact", "permutohedral")
NORMALIZATIONS = ("none", "before", "after", "symmetric")
GRADIENTS = ("lattice", "exact")


class Geometry(NamedTuple):
    n: int
    c: int
    points: int
    """The product of the trailing axes."""
    d: int
    groups: int
    """How many sets of features there are: one for all images, or one for each."""
    lattice: bool
    normalization: int
    """Its place in NORMALIZATIONS."""
    include_self: bool
    adjoint: bool
    exact_gradient: bool


def check(x: Any, features: Array, g: Any) -> None:
    """Features are finite, and the lattice has numbers for all vertices."""
    if g.groups == 0 or g.points == 0:
        return
    planes = features.reshape(g.groups, g.d, g.points)
    low, high = planes.min(2), planes.max(2)
    wrong = ~(np.isfinite(low) & np.isfinite(high))
    if wrong.any():
        n, a = (int(i) for i in np.argwhere(wrong)[0])
        value = planes[n, a][~np.isfinite(planes[n, a])][0]
        raise ArgumentError(f"features[{n}, {a}] has a value {value}, expected finite numbers")
    if g.lattice:
        # brings in Numba, which importing numseg does not need
        from numseg.kernels.lattice import simplex

        for n in range(g.groups):
            if simplex.keys(low[n], high[n]) is None:
                spread = high[n].astype(np.float64) - low[n]
                a = int(np.argmax(np.maximum(spread, np.maximum(abs(low[n]), abs(high[n])))))
                raise ArgumentError(
                    f"features[{n}, {a}] reach from {low[n, a]:g} to {high[n, a]:g}, "
                    f"too far for numbers of vertices in {g.d} dimensions: divide by larger "
                    'widths, or take method="exact"'
                )
