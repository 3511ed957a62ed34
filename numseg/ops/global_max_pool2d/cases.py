"""Inputs for global_max_pool2d: global_avg_pool2d's, and indices."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.global_avg_pool2d import cases
from numseg.testing.cases import Case, Invalid

EXACT = True

valid = st.builds(
    lambda case, flag: Case(case.arrays, {"return_indices": flag}), cases.valid, st.booleans()
)

_strange = Case({"x": np.zeros((1, 1, 4, 4))}, {"return_indices": None})

invalid = [
    *cases.invalid,
    Invalid(_strange, "return_indices must be True or False, got None"),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
