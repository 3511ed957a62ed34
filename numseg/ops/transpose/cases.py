"""Inputs for transpose: every two axes, from both ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, shapes, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = draw(shapes(min_axes=1, max_axes=4, max_size=3))
    axis = st.integers(-len(shape), len(shape) - 1)
    return Case({"x": shape}, {"dim0": draw(axis), "dim1": draw(axis)})


_good = Case({"x": np.zeros((2, 3, 4), np.float32)}, {"dim0": 0, "dim1": 1})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("dim0 is 3, but x has 3 axes: (2, 3, 4)", dim0=3),
    _bad("dim1 is -4, but x has 3 axes: (2, 3, 4)", dim1=-4),
    _bad("dim1 must be an integer, got (0, 1)", dim1=(0, 1)),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
