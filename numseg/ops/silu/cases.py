"""Inputs for silu."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = False

valid = st.builds(lambda shape: Case({"x": shape}), shapes(min_axes=0, max_axes=4))

invalid = [
    Invalid(Case({"x": np.zeros(3, np.int32)}), "x has dtype int32, expected float32 or float64"),
    Invalid(Case({"x": 1.0}), "x must be an array, got float"),
]


def roundings(plan: Plan[Any]) -> int:
    """Three for the sigmoid and one for the product with x. The gradient multiplies two sigmoids,
    x and grad_y, and adds 1: its parts are at most 4 / 3 of |x|."""
    return 8
