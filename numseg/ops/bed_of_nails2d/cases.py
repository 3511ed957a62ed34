"""Inputs for bed_of_nails2d."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = True

valid = st.builds(
    lambda shape, stride: Case({"x": shape}, {"stride": stride}),
    shapes(min_axes=4, max_axes=4, max_size=3),
    st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3)),
)

_x = np.zeros((1, 1, 2, 2), np.float32)

invalid = [
    Invalid(Case({"x": _x[0]}, {"stride": 2}), "x has shape (1, 2, 2), expected 4 axes"),
    Invalid(Case({"x": _x.astype(np.int8)}, {"stride": 2}), "x has dtype int8"),
    Invalid(Case({"x": _x}, {"stride": 0}), "stride must be at least 1, got 0"),
    Invalid(Case({"x": _x}, {"stride": (2, -1)}), "stride[1] must be at least 1, got -1"),
    Invalid(Case({"x": _x}, {"stride": 1.5}), "stride must be an integer, got 1.5"),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
