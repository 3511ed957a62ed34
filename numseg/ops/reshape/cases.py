"""Inputs for reshape: sizes put together and taken apart, -1, axes of 1 and of 0."""

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
    wanted = list(shape)
    if draw(st.booleans()):
        wanted.reverse()
    for _ in range(draw(st.integers(0, 2))):
        if len(wanted) > 1 and draw(st.booleans()):
            wanted[:2] = [wanted[0] * wanted[1]]
        else:
            wanted.insert(draw(st.integers(0, len(wanted))), 1)
    if draw(st.booleans()) and wanted:
        place = draw(st.integers(0, len(wanted) - 1))
        if 0 not in wanted[:place] + wanted[place + 1 :]:
            wanted[place] = -1
    return Case({"x": shape}, {"shape": tuple(wanted)})


_good = Case({"x": np.zeros((2, 3, 4), np.float32)}, {"shape": (6, 4)})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("shape is [6, 5], 30 numbers, but x has 24: (2, 3, 4)", shape=(6, 5)),
    _bad("shape is [5, -1], a multiple of 5 numbers, but x has 24: (2, 3, 4)", shape=(5, -1)),
    _bad("shape has -1 in 2 places, expected one: [-1, -1]", shape=(-1, -1)),
    _bad("shape is [0, -1]: beside a 0, -1 could be any number", shape=(0, -1)),
    _bad("shape[1] must be at least -1, got -2", shape=(24, -2)),
    _bad("shape[0] must be an integer, got 2.0", shape=(2.0, 12)),
    _bad("shape must be a sequence of integers, got 24", shape=24),
    _bad("shape is [], 1 numbers, but x has 24", shape=()),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
