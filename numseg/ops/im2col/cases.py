"""Inputs for im2col: overlapping and gapped windows, every side of padding, empty axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.geometry import extent
from numseg.operator import Plan
from numseg.testing.cases import Case, dilations, refused, strides, wrong_arrays

EXACT = True


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], dict[str, Any]]:
    """An image size, and the parameters of windows that fit on it."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    sides = st.tuples(*(st.integers(0, 2) for _ in range(4)))
    kernel = draw(pairs)
    params = {"kernel_size": kernel, "stride": draw(strides(3))}
    params["dilation"] = draw(dilations(kernel, 3))
    padding: Any = draw(sides)
    spans = [extent(k, d) for k, d in zip(params["kernel_size"], params["dilation"], strict=True)]
    fits = [max(s - padding[2 * a] - padding[2 * a + 1], 0) for a, s in enumerate(spans)]
    rows, columns = (fit + draw(st.integers(0, 4)) for fit in fits)
    if min(rows, columns) > 0 and draw(st.integers(0, 3)) == 0:
        padding = "same"
    return (rows, columns), {**params, "padding": padding}


@st.composite
def valid(draw: st.DrawFn) -> Case:
    size, params = draw(windows())
    return Case({"x": (draw(st.integers(0, 2)), draw(st.integers(0, 3)), *size)}, params)


_x = np.zeros((1, 2, 5, 5), np.float32)


_good = Case({"x": _x}, {"kernel_size": 3})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("kernel_size must be one integer or two, got (3, 3, 3)", kernel_size=(3, 3, 3)),
    _bad("stride must be at least 1, got 0", stride=0),
    _bad("the window spans 6 rows (kernel 6, dilation 1), but x has 5 rows", kernel_size=6),
]


def roundings(plan: Plan[Any]) -> int:
    """A pixel's gradient adds up its copies, at most one for each tap."""
    return int(plan.geometry.kh * plan.geometry.kw)
