"""Inputs for separable_conv2d: every depth multiplier and bias, empty axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.geometry import extent
from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = True

_small = st.integers(0, 2)
_pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def valid(draw: st.DrawFn) -> Case:
    kernel, stride, dilation = draw(_pairs), draw(_pairs), draw(_pairs)
    c, filters = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    channels = c * draw(st.integers(0, 3))
    spans = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    padding: Any = draw(st.tuples(_small, _small, _small, _small))
    fits = [max(s - padding[2 * a] - padding[2 * a + 1], 0) for a, s in enumerate(spans)]
    size = [fit + draw(st.integers(0, 5)) for fit in fits]
    if min(size) > 0 and draw(st.integers(0, 3)) == 0:
        padding = draw(st.sampled_from(["same", "same_lower"]))
    arrays = {
        "x": (draw(_small), c, *size),
        "depthwise_weight": (channels, 1, *kernel),
        "pointwise_weight": (filters, channels, 1, 1),
        "bias": draw(st.sampled_from([None, (filters,)])),
        "depthwise_bias": draw(st.sampled_from([None, (channels,)])),
    }
    return Case(arrays, {"stride": stride, "padding": padding, "dilation": dilation})


_good = Case(
    {
        "x": (1, 4, 5, 5),
        "depthwise_weight": (8, 1, 3, 3),
        "pointwise_weight": (6, 8, 1, 1),
        "bias": None,
        "depthwise_bias": None,
    }
)
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad(
        "pointwise_weight has dtype float64, but x has float32",
        pointwise_weight=np.zeros((6, 8, 1, 1)),
    ),
    _bad("depthwise_weight has shape (8, 3, 3), expected 4 axes", depthwise_weight=(8, 3, 3)),
    _bad(
        "depthwise_weight has shape (8, 4, 3, 3), expected (8, 1, 3",
        depthwise_weight=(8, 4, 3, 3),
    ),
    _bad(
        "depthwise_weight has 6 filters, expected a multiple of the 4",
        depthwise_weight=(6, 1, 3, 3),
    ),
    _bad("depthwise_weight has 8 filters, expected a multiple of the 0", x=(1, 0, 5, 5)),
    _bad("depthwise_weight's kernel columns must be at least 1", depthwise_weight=(8, 1, 3, 0)),
    _bad("pointwise_weight has shape (6, 8), expected 4 axes", pointwise_weight=(6, 8)),
    _bad(
        "pointwise_weight has shape (6, 4, 1, 1), expected (6, 8, 1",
        pointwise_weight=(6, 4, 1, 1),
    ),
    _bad(
        "pointwise_weight has shape (6, 8, 3, 3), expected (6, 8, 1",
        pointwise_weight=(6, 8, 3, 3),
    ),
    _bad("bias has shape (8,), expected (6,) (one for each of the 6 filters", bias=(8,)),
    _bad("depthwise_bias has shape (6,), expected (8,)", depthwise_bias=(6,)),
    _bad("stride must be at least 1, got 0", stride=0),
    _bad("dilation[1] must be at least 1, got 0", dilation=(1, 0)),
    _bad("padding must be one of 'valid', 'same', 'same_lower', got 'full'", padding="full"),
    _bad("the window spans 7 rows (kernel 3, dilation 3), but x has 5 rows", dilation=3),
]


def roundings(plan: Plan[Any]) -> int:
    """Two sums, one after the other: as many as the longest of each have terms."""
    g = plan.geometry
    return int(g.kh * g.kw * g.multiplier + max(g.f, g.c * g.multiplier) + g.n * g.oh * g.ow + 4)
