"""Inputs for softmax: every axis of every rank, empty axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = draw(shapes(min_axes=1, max_axes=4))
    return Case({"x": shape}, {"dim": draw(st.integers(-len(shape), len(shape) - 1))})


_x = np.zeros((2, 3), np.float32)

invalid = [
    Invalid(Case({"x": _x.astype(np.int32)}), "x has dtype int32, expected float32 or float64"),
    Invalid(Case({"x": _x}, {"dim": 2}), "dim is 2, but x has 2 axes: (2, 3)"),
    Invalid(Case({"x": _x}, {"dim": -3}), "dim is -3, but x has 2 axes: (2, 3)"),
    Invalid(Case({"x": _x[0]}), "dim is 1, but x has 1 axes: (3,)"),
    Invalid(Case({"x": _x}, {"dim": None}), "dim must be an integer, got None"),
]


def roundings(plan: Plan[Any]) -> int:
    """Float32: less than a half for ``x - max``, one for exp, as much for the sum of such exps, a
    half each for the sum's inverse and the product with it. The gradient is two products and a
    difference. Float64: the sums round once for each of their c terms."""
    return 5 + (plan.geometry.c if plan.outputs[0].dtype == np.float64 else 0)
