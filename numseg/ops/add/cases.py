"""Inputs for add."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = True

valid = st.builds(lambda shape: Case({"x": shape, "y": shape}), shapes(min_axes=0, max_axes=4))

_x = np.zeros((2, 3), np.float32)

invalid = [
    Invalid(Case({"x": _x, "y": _x[:, :1]}), "y has shape (2, 1), expected (2, 3)"),
    Invalid(Case({"x": _x, "y": _x[None]}), "y has shape (1, 2, 3), expected (2, 3)"),
    Invalid(Case({"x": _x, "y": _x.astype(np.float64)}), "y has dtype float64, but x has float32"),
    Invalid(Case({"x": _x.astype(bool), "y": _x}), "x has dtype bool"),
    Invalid(Case({"x": _x, "y": 1.0}), "y must be an array, got float"),
]


def roundings(plan: Plan[Any]) -> int:
    return 1
