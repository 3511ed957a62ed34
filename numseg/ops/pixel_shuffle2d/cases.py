"""Inputs for pixel_shuffle2d."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n, c, h, w = (draw(st.integers(0, most)) for most in (2, 3, 3, 4))
    r = draw(st.integers(1, 3))
    params = {"upscale_factor": r, "mode": draw(st.sampled_from(["CRD", "DCR"]))}
    return Case({"x": (n, c * r * r, h, w)}, params)


_x = np.zeros((1, 4, 2, 3), np.float32)


_good = Case({"x": _x}, {"upscale_factor": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("upscale_factor must be at least 1, got 0", upscale_factor=0),
    _bad("upscale_factor must be an integer, got (2, 2)", upscale_factor=(2, 2)),
    _bad(
        "upscale_factor is 3, so x must have a multiple of 9 channels, but it has 4",
        upscale_factor=3,
    ),
    _bad("mode must be one of 'CRD', 'DCR', got 'RCD'", mode="RCD"),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
