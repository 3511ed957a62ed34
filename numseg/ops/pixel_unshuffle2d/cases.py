"""Inputs for pixel_unshuffle2d."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n, c, h, w = (draw(st.integers(0, most)) for most in (2, 3, 3, 4))
    r = draw(st.integers(1, 3))
    params = {"downscale_factor": r, "mode": draw(st.sampled_from(["CRD", "DCR"]))}
    return Case({"x": (n, c, h * r, w * r)}, params)


_x = np.zeros((1, 2, 4, 6), np.float32)


def _bad(message: str, x: Any = _x, downscale_factor: Any = 2, **params: Any) -> Invalid:
    return Invalid(Case({"x": x}, {"downscale_factor": downscale_factor, **params}), message)


invalid = [
    _bad("x has shape (2, 4, 6), expected 4 axes (n, c, h, w)", x=_x[0]),
    _bad("x has dtype int32, expected float32 or float64", x=_x.astype(np.int32)),
    _bad("downscale_factor must be at least 1, got 0", downscale_factor=0),
    _bad("downscale_factor must be an integer, got (2, 2)", downscale_factor=(2, 2)),
    _bad(
        "downscale_factor is 3, so x must have a multiple of 3 rows, but it has 4",
        downscale_factor=3,
    ),
    _bad(
        "downscale_factor is 4, so x must have a multiple of 4 columns, but it has 6",
        downscale_factor=4,
    ),
    _bad("mode must be one of 'CRD', 'DCR', got 'RCD'", mode="RCD"),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
