"""Inputs for hard_sigmoid: both ends of the line are reached with the steeper slopes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = True

# lines whose ends are no numbers that the cases are made of: a finite difference steps over none
valid = st.builds(
    lambda shape, line: Case({"x": shape}, {"alpha": line[0], "beta": line[1]}),
    shapes(min_axes=0, max_axes=4),
    st.sampled_from([(1 / 6, 0.5), (0.2, 0.5), (1.4142, 0.517), (-0.3, 0.25), (0.0, 2.0)]),
)

_x = np.zeros(3, np.float32)

invalid = [
    Invalid(Case({"x": np.zeros(3, np.int32)}), "x has dtype int32, expected float32 or float64"),
    Invalid(Case({"x": _x}, {"alpha": "steep"}), "alpha must be a real number, got 'steep'"),
    Invalid(Case({"x": _x}, {"beta": float("inf")}), "beta must lie in [-inf, inf], got inf"),
]


def roundings(plan: Plan[Any]) -> int:
    return 2  # one, of a number below 1, or of a product with alpha
