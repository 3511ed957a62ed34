"""Inputs for matmul: vectors, matrices, stacks that broadcast in every way, nothing to add up."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.broadcasting import pairs
from numseg.testing.cases import Case, refused

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    one, two = draw(pairs())
    m, k, n = draw(st.tuples(*[st.integers(0, 4) | st.sampled_from([1, 9])] * 3))
    x, other = (*one[-3:], m, k), (*two[-3:], k, n)
    if draw(st.integers(0, 4)) == 0:
        x = (k,)
    if draw(st.integers(0, 4)) == 0:
        other = (k,)
    return Case({"x": x, "other": other})


_x, _other = np.zeros((2, 3, 4), np.float32), np.zeros((2, 4, 5), np.float32)
_bad = refused(Case({"x": _x, "other": _other}))

invalid = [
    _bad("x has dtype int32, expected float32 or float64", x=_x.astype(np.int32)),
    _bad("other has dtype float64, but x has float32", other=_other.astype(np.float64)),
    _bad("x has shape (), expected at least 1 axis", x=()),
    _bad("other has shape (), expected at least 1 axis", other=()),
    _bad("x has 3 columns (shape (2, 4, 3)), but other has 4 rows", x=_x.swapaxes(1, 2).copy()),
    _bad("x has shape (3,) and other (in front of its matrices) (2,): they do not broadcast",
         x=np.zeros((3, 3, 4), np.float32)),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """A product and a sum for each term, and in the gradient of what is repeated for each stack."""
    g = plan.geometry
    return int(2 * (max(g.left[-2:] + g.right[-2:]) + 1) * max(len(g.pairs), 1) + 2)
