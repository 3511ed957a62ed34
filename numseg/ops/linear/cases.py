"""Inputs for linear: any number of leading axes, empty ones included."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    inputs, outputs = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    arrays = {
        "x": (*draw(shapes(min_axes=0, max_axes=3)), inputs),
        "weight": (outputs, inputs),
        "bias": draw(st.sampled_from([None, (outputs,)])),
    }
    return Case(arrays)


def _bad(message: str, x: Any = (2, 3), weight: Any = (4, 3), bias: Any = None) -> Invalid:
    given = {"x": x, "weight": weight, "bias": bias}
    return Invalid(
        Case({k: np.zeros(v, "f") if isinstance(v, tuple) else v for k, v in given.items()}),
        message,
    )


invalid = [
    _bad("x has shape (), expected at least 1 axis", x=()),
    _bad("weight has shape (3,), expected 2 axes", weight=(3,)),
    _bad("x has 5 inputs (its last axis), but weight has 3", x=(2, 5)),
    _bad("bias has shape (3,), expected (4,)", bias=(3,)),
    _bad("weight has dtype float64, but x has float32", weight=np.zeros((4, 3))),
]


def roundings(plan: Plan[Any]) -> int:
    """As many as the longest of the sums has terms: an output's, an input's, a weight's."""
    g = plan.geometry
    return int(max(g.rows, g.inputs, g.outputs)) + 1
