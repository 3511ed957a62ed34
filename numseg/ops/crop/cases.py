"""Inputs for crop: every corner, the whole image, nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = True

_small = st.integers(0, 3)


@st.composite
def valid(draw: st.DrawFn) -> Case:
    size, before, after, planes = (draw(st.tuples(_small, _small)) for _ in range(4))
    h, w = (sum(part) for part in zip(size, before, after, strict=True))
    return Case({"x": (*planes, h, w)}, {"size": size, "offset": before})


_x = np.zeros((1, 1, 3, 4), np.float32)


_good = Case({"x": _x}, {"size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("the crop ends at row 4 and column 4, but x has 3 rows and 4 columns", offset=2),
    _bad("the crop ends at row 3 and column 5", offset=(1, 3)),
    _bad("size must be at least 0, got -1", size=-1),
    _bad("offset[1] must be at least 0, got -1", offset=(0, -1)),
    _bad("offset must be an integer, got 1.5", offset=1.5),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
