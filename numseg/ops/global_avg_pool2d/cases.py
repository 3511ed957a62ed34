"""Inputs for global_avg_pool2d."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid

EXACT = False  # a mean is a quotient

valid = st.builds(
    lambda *shape: Case({"x": shape}),
    st.integers(0, 2), st.integers(0, 2), st.integers(1, 8), st.integers(1, 20),
)  # fmt: skip

_x = np.zeros((1, 1, 4, 4), np.float32)

invalid = [
    Invalid(Case({"x": _x[0, 0]}), "x has shape (4, 4), expected 4 axes"),
    Invalid(Case({"x": _x.astype(int)}), "x has dtype int64"),
    Invalid(Case({"x": _x[..., :0]}), "x has shape (1, 1, 4, 0), expected an image with pixels"),
]


def roundings(plan: Plan[Any]) -> int:
    return int(plan.geometry.h + plan.geometry.w)
