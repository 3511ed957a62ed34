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
        "w": (outputs, inputs),
        "b": draw(st.sampled_from([None, (outputs,)])),
    }
    return Case(arrays)


def _bad(message: str, x: Any = (2, 3), w: Any = (4, 3), b: Any = None) -> Invalid:
    given = {"x": x, "w": w, "b": b}
    return Invalid(
        Case({k: np.zeros(v, "f") if isinstance(v, tuple) else v for k, v in given.items()}),
        message,
    )


invalid = [
    _bad("x has shape (), expected at least 1 axis", x=()),
    _bad("w has shape (3,), expected 2 axes", w=(3,)),
    _bad("x has 5 inputs (its last axis), but w has 3", x=(2, 5)),
    _bad("b has shape (3,), expected (4,)", b=(3,)),
    _bad("w has dtype float64, but x has float32", w=np.zeros((4, 3))),
]


def roundings(plan: Plan[Any]) -> int:
    """As many as the longest of the sums has terms: an output's, an input's, a weight's."""
    g = plan.geometry
    return int(max(g.rows, g.inputs, g.outputs)) + 1
