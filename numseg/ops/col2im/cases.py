"""Inputs for col2im."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.im2col import window_geometry
from numseg.ops.im2col.cases import windows
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    size, params = draw(windows())
    n, c = draw(st.integers(0, 2)), draw(st.integers(0, 3))
    g = window_geometry(n, c, size, **params)
    return Case({"x": (n, c * g.kh * g.kw, g.oh * g.ow)}, {"output_size": size, **params})


_good = Case({"x": (1, 8, 9)}, {"output_size": (4, 4), "kernel_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("x has shape (8, 9), expected 3 axes", x=(8, 9)),
    _bad("x has 7 rows, which a kernel of 2 x 2 does not divide", x=(1, 7, 9)),
    _bad("x has 9 columns, but an image of 4 x 5 has 3 x 4 windows", output_size=(4, 5)),
    _bad("the window spans 2 rows (kernel 2, dilation 1), but x has 1 rows", output_size=1),
]


def roundings(plan: Plan[Any]) -> int:
    """A pixel adds up its copies, at most one for each tap."""
    return int(plan.geometry.kh * plan.geometry.kw)
