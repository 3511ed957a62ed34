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


def places(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """A resizing by every kind of coordinates, and more arguments."""
    return st.builds(
        lambda case, params, more: Case(case.arrays, case.params | params | more),
        resizing(),
        _aligned | _named,
        st.fixed_dictionaries(more),
    )


valid = places(antialias=st.booleans(), exclude_outside=st.sampled_from([None, None, False, True]))

invalid = [
    *invalid_resizing,
    Invalid(
        Case({"x": np.zeros((1, 1, 2, 2))}, {"size": 3, "align_corners": None}),
        "align_corners must be True or False, got None",
    ),
    Invalid(
        Case({"x": np.zeros((1, 1, 2, 2))}, {"size": 3, "antialias": 1}),
        "antialias must be True or False, got 1",
    ),
    Invalid(
        Case({"x": np.zeros((1, 1, 2, 2))}, {"size": 3, "exclude_outside": "yes"}),
        "exclude_outside must be True or False, got 'yes'",
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
    if g.antialias:
        return filtered(plan)
    # a weight, a product and a sum for each axis; then as many sums as output pixels read a pixel
    read = 2 * math.ceil(g.oh / max(g.h, 1)) + 2 * math.ceil(g.ow / max(g.w, 1))
    # a position that comes from a factor is a float64 up to the size of the image
    return 6 + read + (max(g.h, g.w) if g.fy or g.fx else 0)


def filtered(plan: Plan[Any]) -> int:
    """A weight and the sums of products that a filter is, along each axis, or those of the pixels
    that a gradient is summed up over."""
    g = plan.geometry
    taps = 0
    for i, o in (g.h, g.oh), (g.w, g.ow):
        taps += 2 * g.filter.radius * (math.ceil(max(i / max(o, 1), o / max(i, 1))) + 1)
    return 8 + taps + (max(g.h, g.w) if g.fy or g.fx else 0)
