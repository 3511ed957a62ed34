"""Inputs for flatten: every two axes, from both ends, one axis, none."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, shapes, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = draw(shapes(min_axes=0, max_axes=4))
    axes = max(len(shape), 1)
    pair = st.tuples(st.integers(0, axes - 1), st.integers(0, axes - 1))
    first, last = sorted(draw(pair))
    behind = draw(st.booleans())
    params = {"start_dim": first, "end_dim": last - axes if behind else last}
    return Case({"x": shape}, params)


_good = Case({"x": np.zeros((2, 3, 4), np.float32)})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("start_dim is 3, but x has 3 axes: (2, 3, 4)", start_dim=3),
    _bad("end_dim is -4, but x has 3 axes: (2, 3, 4)", end_dim=-4),
    _bad("start_dim is axis 2 of x, after end_dim, axis 1", start_dim=-1, end_dim=1),
    _bad("start_dim must be an integer, got 1.0", start_dim=1.0),
    _bad("start_dim is 1, but x has 1 axes: (2,)", x=np.zeros(2, np.float32)),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
