"""Inputs for lp_pool2d: even, odd and broken powers, windows beyond the padding, gaps between."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, fits, refused, strides, wrong_arrays

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = [draw(st.integers(0, k - 1)) for k in kernel for _ in range(2)]
    stride, ceil = draw(st.none() | strides(4)), draw(st.booleans())
    size = [fit + draw(st.integers(0, 4)) for fit in fits(kernel, stride or kernel, padding, ceil)]
    absolute = draw(st.booleans())
    params = {
        "norm_type": draw(st.sampled_from([1, 2, 3, 1.5] if absolute else [1, 2, 4])),
        "kernel_size": kernel,
        "stride": stride,
        "ceil_mode": ceil,
        "padding": padding,
        "absolute": absolute,
        "scaled": draw(st.booleans()),
    }
    return Case({"x": (draw(st.integers(0, 2)), draw(st.integers(0, 2)), *size)}, params)


_x = np.zeros((1, 1, 4, 4), np.float32)


_good = Case({"x": _x}, {"norm_type": 2, "kernel_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("norm_type must be positive and at most 2147483647, got 0.0", norm_type=0),
    _bad("norm_type must be positive and at most 2147483647, got inf", norm_type=float("inf")),
    _bad("norm_type must be a real number, got '2'", norm_type="2"),
    _bad("kernel_size must be at least 1, got 0", kernel_size=0),
    _bad("stride must be at least 1, got 0", stride=0),
    _bad("must be less than the window's extent of 2 x 2", padding=2),
    _bad("the window spans 5 rows (kernel 5, dilation 1), but x has 4 rows", kernel_size=5),
    _bad("ceil_mode must be True or False, got 'yes'", ceil_mode="yes"),
    _bad("absolute must be True or False, got None", absolute=None),
    _bad("scaled must be True or False, got 1", scaled=1),
]


def roundings(plan: Plan[Any]) -> int:
    """A float32 result is computed in float64 and rounded once. In float64 a power and a root round
    twice or so, and so does each term of a sum; a pixel gets a sum over the windows around it."""
    return 1 if plan.outputs[0].dtype == np.float32 else cuda_roundings(plan)


def cuda_roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    return int(16 * (g.kh * g.kw + 4) * (1 + g.p))
