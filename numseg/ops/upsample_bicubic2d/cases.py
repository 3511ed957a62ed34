"""Inputs for upsample_bicubic2d: those of upsample_bilinear2d, and every coefficient."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from numseg.ops.upsample_bilinear2d import cases as bilinear
from numseg.testing.cases import Case, Invalid

EXACT = False
SCALE = "result"  # a weight is a difference of coordinates: its error does not shrink with it

valid = bilinear.places(
    antialias=st.booleans(),
    exclude_outside=st.sampled_from([None, False, True]),
    cubic_coeff_a=st.sampled_from([None, -0.5, -0.75, -1.0]),
)

invalid = [
    *bilinear.invalid,
    Invalid(
        Case({"x": np.zeros((1, 1, 2, 2))}, {"size": 3, "cubic_coeff_a": math.nan}),
        "cubic_coeff_a must lie in [-inf, inf], got nan",
    ),
]

roundings = bilinear.filtered
