"""Inputs for leaky_relu."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = True

valid = st.builds(
    lambda shape, slope: Case({"x": shape}, {"negative_slope": slope}),
    shapes(min_axes=0, max_axes=4),
    st.sampled_from([0.01, 0.2, 0.0, 1.0, -0.5, 3.0]),
)

_x = np.zeros(3, np.float32)

invalid = [
    Invalid(Case({"x": np.zeros(3, np.int32)}), "x has dtype int32, expected float32 or float64"),
    Invalid(Case({"x": _x}, {"negative_slope": None}), "negative_slope must be a real number"),
    Invalid(Case({"x": _x}, {"negative_slope": float("nan")}), "negative_slope must lie in"),
]


def roundings(plan: Plan[Any]) -> int:
    return 3  # one, of a product: up to 3 times the factor it is measured by
