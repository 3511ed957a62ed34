"""Inputs for upsample_bilinear2d: up and down, by size and by factor, corners aligned or not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.upsample_nearest2d.cases import invalid_resizing, resizing
from numseg.testing.cases import Case, Invalid

EXACT = False
SCALE = "result"  # a weight is a difference of coordinates: its error does not shrink with it

valid = st.builds(
    lambda case, align: Case(case.arrays, case.params | {"align_corners": align}),
    resizing(),
    st.booleans(),
)

invalid = [
    *invalid_resizing,
    Invalid(
        Case({"x": np.zeros((1, 1, 2, 2))}, {"size": 3, "align_corners": None}),
        "align_corners must be True or False, got None",
    ),
]


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    # a weight, a product and a sum for each axis; then as many sums as output pixels read a pixel
    read = 2 * math.ceil(g.oh / max(g.h, 1)) + 2 * math.ceil(g.ow / max(g.w, 1))
    # a position that comes from a factor is a float64 up to the size of the image
    return 6 + read + (max(g.h, g.w) if g.fy or g.fx else 0)
