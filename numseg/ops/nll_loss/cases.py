"""Inputs for nll_loss: those of cross_entropy, with the arguments that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.cross_entropy import cases
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    case = draw(cases.valid())
    params = {
        "ignore_index": case.params["ignore_index"],
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "empty": case.params["empty"],
    }
    return Case(case.arrays, params)


_x, _t = np.zeros((2, 3, 2, 2), np.float32), np.zeros((2, 2, 2), np.uint8)
_good = Case({"x": _x, "target": _t, "weight": None})
_bad = refused(_good)

invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (2,), expected at least 2 axes (n, c, ...)", x=_x[:, 0, 0, 0]),
    _bad("target has dtype float32, expected an integer dtype", target=_t.astype(np.float32)),
    _bad("target has shape (2, 1, 2, 2), expected (2, 2, 2)", target=_t[:, None]),
    _bad("weight has shape (2,), expected (3,)", weight=np.ones(2, np.float32)),
    _bad("target has the label 3 in 8 places, expected labels in [0, 3)", target=_t + 3),
    _bad("the label 255 in 8 places", target=_t + 255, ignore_index=254),
    _bad("ignore_index must be an integer, got 1.5", ignore_index=1.5),
    _bad("reduction must be one of 'mean', 'sum', 'none', got 'valid'", reduction="valid"),
    _bad("empty must be one of 'zero', 'nan', got None", empty=None),
]


def roundings(plan: Plan[Any]) -> int:
    """A float32 result is summed up in float64 and rounded once. Of float64, a term has one, and
    the sum one for each; terms are at most 8."""
    g = plan.geometry
    return 2 if plan.outputs[0].dtype == np.float32 else 8 * (g.n * g.size + 2)


def cuda_roundings(plan: Plan[Any]) -> int:
    """Each product is rounded."""
    g = plan.geometry
    return 8 * (g.n * g.size + 2)
