"""Inputs for where: three shapes that broadcast in every way, conditions that are often 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.broadcasting import shortened
from numseg.testing.cases import Case, refused
from numseg.typing import Array, Shape

EXACT = True


def _condition(shape: Shape) -> Any:
    def make(rng: np.random.Generator, dtype: Any) -> Array:
        return rng.choice(np.array([0, 0, -0.0, 1, -2]), shape).astype(dtype)

    return make


@st.composite
def valid(draw: st.DrawFn) -> Case:
    """Each array lacks some axes, or has 1 there."""
    shape = tuple(draw(st.lists(st.sampled_from([0, 1, 2, 2, 3, 3]), max_size=4)))
    condition, x, other = (
        shortened(draw, tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in shape))
        for _ in range(3)
    )
    return Case({"condition": _condition(condition), "x": x, "other": other})


_made = np.ones((2, 3), np.float32)
_bad = refused(Case({"condition": _made, "x": _made, "other": _made}))

invalid = [
    _bad("x has shape (2, 3) and other (2, 2): they do not broadcast", other=_made[:, :2]),
    _bad(
        "condition has shape (2,) and x and other (2, 3): they do not broadcast",
        condition=_made[:, 0],
    ),
    _bad("condition has dtype float64, but x has float32", condition=_made.astype(np.float64)),
    _bad("other has dtype float64, but x has float32", other=_made.astype(np.float64)),
    _bad("condition has dtype bool, expected float32 or float64", condition=_made.astype(bool)),
    _bad("x has dtype bool, expected float32 or float64", x=_made.astype(bool)),
]


def roundings(plan: Plan[Any]) -> int:
    """Of the sums of gradients."""
    return max(plan.outputs[0].size // max(spec.size, 1) for spec in plan.inputs)
