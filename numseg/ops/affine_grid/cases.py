"""Inputs for affine_grid: every size, corners aligned or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused

EXACT = False
SCALE = "result"  # the places of pixels are rounded


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n = draw(st.integers(0, 2))
    size = (n, draw(st.integers(0, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    return Case({"theta": (n, 2, 3)}, {"size": size, "align_corners": draw(st.booleans())})


_theta = np.zeros((2, 2, 3), np.float32)
_good = Case({"theta": _theta}, {"size": (2, 3, 4, 5)})
_bad = refused(_good)

invalid = [
    _bad("theta has dtype int32, expected float32 or float64", theta=_theta.astype(np.int32)),
    _bad("theta has shape (2, 3), expected 3 axes (n, 2, 3)", theta=_theta[0]),
    _bad("theta has shape (2, 1, 3), expected (2, 2, 3)", theta=_theta[:, :1]),
    _bad("size must be (N, C, H, W), got (4, 5)", size=(4, 5)),
    _bad("size[2] must be at least 1, got 0", size=(2, 3, 0, 5)),
    _bad("size[3] must be an integer, got 5.0", size=(2, 3, 4, 5.0)),
    _bad("size has 1 images, but theta has 2", size=(1, 3, 4, 5)),
    _bad("align_corners must be True or False, got None", align_corners=None),
]


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    return 8 + 4 * g.h * g.w
