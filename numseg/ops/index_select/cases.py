"""Inputs for index_select: every axis, repeated entries, none, numbers from both ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, shapes, wrong_arrays
from numseg.typing import Array

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = draw(shapes(min_axes=1, max_axes=4, max_size=3))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    size, count = shape[dim], draw(st.integers(0, 5))

    def index(rng: np.random.Generator, dtype: Any) -> Array:
        return rng.integers(-size, size, count) if size else np.zeros(0, np.int64)

    return Case({"x": shape, "index": index}, {"dim": dim})


_x, _index = np.zeros((2, 3, 4), np.float32), np.array([0, 2, 1, -3])
_good = Case({"x": _x, "index": _index}, {"dim": 1})
_bad = refused(_good)

invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("index has dtype float64, expected an integer", index=np.zeros(2)),
    _bad("index has shape (1, 4), expected 1 axes (k)", index=_index[None]),
    _bad("index[1] is 2, but the axis has 2 entries", dim=0),
    _bad("index[3] is -3, but the axis has 2 entries", dim=0, index=np.array([0, 1, 1, -3])),
    _bad("index has 4 entries, but axis 1 of x has none: (2, 0, 4)", x=_x[:, :0]),
    _bad("dim is 3, but x has 3 axes: (2, 3, 4)", dim=3),
    _bad("dim must be an integer, got None", dim=None),
]


def roundings(plan: Plan[Any]) -> int:
    return int(plan.geometry.taken) + 1
