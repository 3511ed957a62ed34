"""Inputs for adaptive_avg_pool2d: bins that divide the image or overlap, more bins than pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = False  # a mean is a quotient


@st.composite
def valid(draw: st.DrawFn) -> Case:
    size = draw(st.tuples(st.integers(1, 8), st.integers(1, 20)))
    shape = (draw(st.integers(0, 2)), draw(st.integers(0, 2)), *size)
    sides = st.integers(1, 5)
    output = draw(sides | st.tuples(*[st.none() | st.integers(0, 1) | sides] * 2))
    return Case({"x": shape}, {"output_size": output})


_x = np.zeros((1, 1, 4, 4), np.float32)


_good = Case({"x": _x}, {"output_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("x has shape (1, 1, 0, 4), expected an image with pixels", x=_x[:, :, :0]),
    _bad("output_size must be an integer, got None", output_size=None),
    _bad("output_size must be at least 0, got -1", output_size=-1),
    _bad("output_size[1] must be at least 0, got -2", output_size=(None, -2)),
    _bad("output_size must be one integer or two, got (1, 2, 3)", output_size=(1, 2, 3)),
]


def roundings(plan: Plan[Any]) -> int:
    """A mean adds up a bin; a pixel's gradient adds up its bins."""
    g = plan.geometry
    return int(g.h + g.w + g.oh + g.ow)
