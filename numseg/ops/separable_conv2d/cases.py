"""Inputs for separable_conv2d: every depth multiplier and bias, empty axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.geometry import extent
from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid

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
        "w_depthwise": (channels, 1, *kernel),
        "w_pointwise": (filters, channels, 1, 1),
        "b": draw(st.sampled_from([None, (filters,)])),
        "b_depthwise": draw(st.sampled_from([None, (channels,)])),
    }
    return Case(arrays, {"stride": stride, "padding": padding, "dilation": dilation})


def _f32(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def _bad(message: str, **changed: Any) -> Invalid:
    arrays = {
        "x": _f32(1, 4, 5, 5),
        "w_depthwise": _f32(8, 1, 3, 3),
        "w_pointwise": _f32(6, 8, 1, 1),
        "b": None,
        "b_depthwise": None,
    }
    params = {name: value for name, value in changed.items() if name not in arrays}
    arrays |= {name: value for name, value in changed.items() if name in arrays}
    return Invalid(Case(arrays, params), message)


invalid = [
    _bad("x has shape (4, 5, 5), expected 4 axes", x=_f32(4, 5, 5)),
    _bad("x has dtype int32, expected float32 or float64", x=np.zeros((1, 4, 5, 5), np.int32)),
    _bad("w_pointwise has dtype float64, but x has float32", w_pointwise=np.zeros((6, 8, 1, 1))),
    _bad("w_depthwise has shape (8, 3, 3), expected 4 axes", w_depthwise=_f32(8, 3, 3)),
    _bad("w_depthwise has shape (8, 4, 3, 3), expected (8, 1, 3", w_depthwise=_f32(8, 4, 3, 3)),
    _bad("w_depthwise has 6 filters, expected a multiple of the 4", w_depthwise=_f32(6, 1, 3, 3)),
    _bad("w_depthwise has 8 filters, expected a multiple of the 0", x=_f32(1, 0, 5, 5)),
    _bad("w_depthwise's kernel columns must be at least 1", w_depthwise=_f32(8, 1, 3, 0)),
    _bad("w_pointwise has shape (6, 8), expected 4 axes", w_pointwise=_f32(6, 8)),
    _bad("w_pointwise has shape (6, 4, 1, 1), expected (6, 8, 1", w_pointwise=_f32(6, 4, 1, 1)),
    _bad("w_pointwise has shape (6, 8, 3, 3), expected (6, 8, 1", w_pointwise=_f32(6, 8, 3, 3)),
    _bad("b has shape (8,), expected (6,) (one for each of the 6 filters", b=_f32(8)),
    _bad("b_depthwise has shape (6,), expected (8,)", b_depthwise=_f32(6)),
    _bad("stride must be at least 1, got 0", stride=0),
    _bad("dilation[1] must be at least 1, got 0", dilation=(1, 0)),
    _bad("padding must be one of 'valid', 'same', 'same_lower', got 'full'", padding="full"),
    _bad("the window spans 7 rows (kernel 3, dilation 3), but x has 5 rows", dilation=3),
]


def roundings(plan: Plan[Any]) -> int:
    """Two sums, one after the other: as many as the longest of each have terms."""
    g = plan.geometry
    return int(g.kh * g.kw * g.multiplier + max(g.f, g.c * g.multiplier) + g.n * g.oh * g.ow + 4)
