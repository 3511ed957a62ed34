"""Inputs for relu."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = True
"""Integer-valued inputs give the same bits as the reference."""

valid = st.builds(lambda shape: Case({"x": shape}), shapes(min_axes=0, max_axes=4))

invalid = [
    Invalid(Case({"x": np.zeros(3, np.int32)}), "x has dtype int32, expected float32 or float64"),
    Invalid(Case({"x": [1.0, 2.0]}), "x must be an array"),
]


def roundings(plan: Plan[Any]) -> int:
    """The bound on real inputs, in units of eps times the size of the result."""
    return 0
