"""Inputs for linear: any number of leading axes, empty ones included."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, shapes, wrong_arrays

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


_good = Case({"x": (2, 3), "weight": (4, 3), "bias": None})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (), expected at least 1 axis", x=()),
    _bad("weight has shape (3,), expected 2 axes", weight=(3,)),
    _bad("x has 5 inputs (its last axis), but weight has 3", x=(2, 5)),
    _bad("bias has shape (3,), expected (4,)", bias=(3,)),
]


def roundings(plan: Plan[Any]) -> int:
    """As many as the longest of the sums has terms: an output's, an input's, a weight's."""
    g = plan.geometry
    return int(max(g.rows, g.inputs, g.outputs)) + 1
