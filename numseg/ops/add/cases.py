"""Inputs for add."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = True

valid = st.builds(lambda shape: Case({"x": shape, "other": shape}), shapes(min_axes=0, max_axes=4))

_x = np.zeros((2, 3), np.float32)

invalid = [
    Invalid(Case({"x": _x, "other": _x[:, :1]}), "other has shape (2, 1), expected (2, 3)"),
    Invalid(Case({"x": _x, "other": _x[None]}), "other has shape (1, 2, 3), expected (2, 3)"),
    Invalid(
        Case({"x": _x, "other": _x.astype(np.float64)}),
        "other has dtype float64, but x has float32",
    ),
    Invalid(Case({"x": _x.astype(bool), "other": _x}), "x has dtype bool"),
    Invalid(Case({"x": _x, "other": 1.0}), "other must be an array, got float"),
]


def roundings(plan: Plan[Any]) -> int:
    return 1
