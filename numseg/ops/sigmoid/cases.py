"""Inputs for sigmoid."""

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
    Invalid(Case({"x": "abc"}), "x must be an array, got str"),
]


def roundings(plan: Plan[Any]) -> int:
    """One for exp, and less than one in all for the sum, the quotient and the rounding of y; the
    gradient's factors add three halves."""
    return 3
