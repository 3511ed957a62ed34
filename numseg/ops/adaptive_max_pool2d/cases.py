"""Inputs for adaptive_max_pool2d: adaptive_avg_pool2d's, and indices."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.adaptive_avg_pool2d import cases
from numseg.testing.cases import Case, Invalid

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    case = draw(cases.valid())
    return Case(case.arrays, {**case.params, "return_indices": draw(st.booleans())})


_strange = Case({"x": np.zeros((1, 1, 4, 4))}, {"output_size": 2, "return_indices": 1})

invalid = [
    *cases.invalid,
    Invalid(_strange, "return_indices must be True or False, got 1"),
]


def roundings(plan: Plan[Any]) -> int:
    """A pixel adds up the bins that it won."""
    return max(1, int(plan.geometry.oh * plan.geometry.ow))
