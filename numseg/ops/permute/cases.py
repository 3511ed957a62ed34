"""Inputs for permute: every order of up to five axes, axes of 1 and 0, several blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, shapes, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    wide = st.sampled_from([(2, 70), (67, 18), (3, 17, 2)])
    shape = draw(shapes(min_axes=0, max_axes=5, max_size=3) | wide)
    dims = draw(st.permutations(range(len(shape))))
    if draw(st.booleans()):
        dims = [d - len(shape) for d in dims]
    return Case({"x": shape}, {"dims": tuple(dims)})


_good = Case({"x": np.zeros((2, 3, 4), np.float32)}, {"dims": (2, 0, 1)})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("dims is (0, 1), expected each of x's 3 axes once", dims=(0, 1)),
    _bad("dims is (0, 1, 0), expected each of x's 3 axes once", dims=(0, 1, -3)),
    _bad("dims[2] is 3, but x has 3 axes: (2, 3, 4)", dims=(0, 1, 3)),
    _bad("dims[0] must be an integer, got 1.0", dims=(1.0, 0, 2)),
    _bad("dims must be a sequence of integers, got 1", dims=1),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
