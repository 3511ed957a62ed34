"""Inputs for upsample_bilinear2d: up and down, by size and by factor, corners aligned or not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.geometry import COORDINATES
from numseg.operator import Plan
from numseg.ops.upsample_nearest2d.cases import invalid_resizing, resizing
from numseg.testing.cases import Case, Invalid

EXACT = False
SCALE = "result"  # a weight is a difference of coordinates: its error does not shrink with it

_aligned = st.booleans().map(lambda align: {"align_corners": align})
_named = st.sampled_from(COORDINATES).map(lambda name: {"coordinates": name})

valid = st.builds(
    lambda case, params: Case(case.arrays, case.params | params), resizing(), _aligned | _named
)

invalid = [
    *invalid_resizing,
    Invalid(
        Case({"x": np.zeros((1, 1, 2, 2))}, {"size": 3, "align_corners": None}),
        "align_corners must be True or False, got None",
    ),
    Invalid(
        Case({"x": np.zeros((1, 1, 2, 2))}, {"size": 3, "coordinates": "nearest"}),
        "coordinates must be one of 'half_pixel', 'pytorch_half_pixel',",
    ),
    Invalid(
        Case(
            {"x": np.zeros((1, 1, 2, 2))},
            {"size": 3, "coordinates": "half_pixel", "align_corners": True},
        ),
        "give align_corners or coordinates, not both: got 'half_pixel'",
    ),
]


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    # a weight, a product and a sum for each axis; then as many sums as output pixels read a pixel
    read = 2 * math.ceil(g.oh / max(g.h, 1)) + 2 * math.ceil(g.ow / max(g.w, 1))
    # a position that comes from a factor is a float64 up to the size of the image
    return 6 + read + (max(g.h, g.w) if g.fy or g.fx else 0)
