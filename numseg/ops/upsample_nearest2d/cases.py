"""Inputs for upsample_nearest2d: up and down, by size and by every kind of factor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid

EXACT = True


@st.composite
def resizing(draw: st.DrawFn) -> Case:
    """x, and a size or a factor; also for the other upsamplings."""
    shape = draw(st.tuples(st.integers(0, 2), st.integers(0, 2), *[st.integers(0, 5)] * 2))
    factors = [
        draw(st.sampled_from([1.0, 1.1, 1.5, 2.0, 2.3, 3.0]) | st.floats(max(0.3, 1 / (i or 4)), 4))
        for i in shape[2:]
    ]
    if draw(st.booleans()) and 0 not in shape[2:]:
        size = [max(math.floor(i * f), 1) for i, f in zip(shape[2:], factors, strict=True)]
        return Case({"x": shape}, {"size": size})
    for a, i in enumerate(shape[2:]):
        if i > 0 and math.floor(i * factors[a]) == 0:
            factors[a] = 1.0  # 1 / i, rounded down
    return Case({"x": shape}, {"scale_factor": factors})


valid = resizing()

_x = np.zeros((1, 1, 3, 4), np.float32)


def _bad(message: str, x: object = _x, **params: object) -> Invalid:
    return Invalid(Case({"x": x}, params), message)


invalid_resizing = [
    _bad("x has shape (3, 4), expected 4 axes", x=_x[0, 0], size=2),
    _bad("x has dtype int64", x=_x.astype(np.int64), size=2),
    _bad("give size or scale_factor, one of them: got None and None"),
    _bad("give size or scale_factor, one of them: got 2 and 2.0", size=2, scale_factor=2.0),
    _bad("size must be at least 1, got 0", size=0),
    _bad("size must be an integer, got 2.0", size=2.0),
    _bad("scale_factor must be positive and at most 2147483647, got 0.0", scale_factor=0),
    _bad("scale_factor[1] must be positive and at most 2147483647, got -1.0", scale_factor=(1, -1)),
    _bad("scale_factor must be positive and at most 2147483647, got nan", scale_factor=math.nan),
    _bad("scale_factor must be positive and at most 2147483647, got inf", scale_factor=math.inf),
    _bad("scale_factor must be one number or two, got (1, 2, 3)", scale_factor=(1, 2, 3)),
    _bad("scale_factor 0.25 x 0.25 leaves 0 x 1 pixels of 3 x 4", scale_factor=0.25),
    _bad("size is 2 x 2, but x has no pixels: 0 x 4", x=_x[:, :, :0], size=2),
]
invalid = invalid_resizing


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    return math.ceil(g.oh / max(g.h, 1)) + math.ceil(g.ow / max(g.w, 1)) + 2  # a pixel's copies
