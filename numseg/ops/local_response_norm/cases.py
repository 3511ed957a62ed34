"""Inputs for local_response_norm: windows of one channel and of more than there are, both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    rest = draw(st.lists(st.integers(0, 3), max_size=2) | st.just([130]))
    shape = (draw(st.integers(0, 2)), draw(st.integers(0, 6)), *rest)
    params = {
        "size": draw(st.integers(1, 6) | st.just(1009)),
        "alpha": draw(st.sampled_from([0.0, 1e-4, 1.0, 5.0])),
        "beta": draw(st.sampled_from([0.75, 0.5, 1.0, 2.0, 0.0, -0.5])),
        "k": draw(st.sampled_from([1.0, 2.0, 0.5])),
        "extra": draw(st.sampled_from(["before", "after"])),
    }
    return Case({"x": shape}, params)


_x = np.zeros((1, 4, 2, 3), np.float32)


_good = Case({"x": _x}, {"size": 3})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (3,), expected at least 2 axes (n, c, ...)", x=_x[0, 0, 0]),
    _bad("size must be at least 1, got 0", size=0),
    _bad("size must be an integer, got 2.5", size=2.5),
    _bad("alpha must lie in [0.0, inf], got -1.0", alpha=-1),
    _bad("k must lie in [0.0, inf], got nan", k=float("nan")),
    _bad("beta must be a real number, got None", beta=None),
    _bad("extra must be one of 'before', 'after', got 'both'", extra="both"),
]


def roundings(plan: Plan[Any]) -> int:
    """A float32 result is computed in float64 and rounded once. In float64 a window is summed up,
    and its logarithm, of at most 7, multiplied by beta and by what beta + 1 multiplies."""
    return 1 if plan.outputs[0].dtype == np.float32 else cuda_roundings(plan)


def cuda_roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    return int(8 * (g.before + g.after + 1) * (1 + abs(g.beta)) + 40)
