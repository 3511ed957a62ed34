"""Inputs for concat: one array and several, every axis from both ends, empty parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, shapes

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = draw(shapes(min_axes=1, max_axes=4, max_size=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    sizes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    place = axis % len(shape)
    parts = [(*shape[:place], size, *shape[place + 1 :]) for size in sizes]
    return Case({"xs": parts}, {"dim": axis})


_x = np.zeros((1, 2, 3), np.float32)


def _bad(message: str, xs: object, dim: object = 1) -> Invalid:
    return Invalid(Case({"xs": xs}, {"dim": dim}), message)


invalid = [
    _bad("xs must be a list or tuple of arrays", _x),
    _bad("xs must hold at least one array", []),
    _bad("xs[1] must be an array, got float", [_x, 1.0]),
    _bad("xs[1] has dtype float64, but xs[0] has float32", [_x, _x.astype(np.float64)]),
    _bad("xs[0] has dtype int64", [_x.astype(np.int64)]),
    _bad("dim is 3, but xs[0] has 3 axes: (1, 2, 3)", [_x, _x], dim=3),
    _bad("dim is -4, but xs[0] has 3 axes", [_x, _x], dim=-4),
    _bad("dim must be an integer, got 1.0", [_x, _x], dim=1.0),
    _bad("xs[1] has shape (1, 2, 4), but xs[0] has (1, 2, 3)", [_x, np.zeros((1, 2, 4), "f4")]),
    _bad("xs[1] has shape (2, 3), but xs[0] has (1, 2, 3)", [_x, _x[0]]),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
