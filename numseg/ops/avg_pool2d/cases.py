"""Inputs for avg_pool2d: windows beyond the padding, every divisor, gaps between windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, fits, refused, strides, wrong_arrays

EXACT = "value"  # a gradient is a sum of quotients


@st.composite
def valid(draw: st.DrawFn) -> Case:
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = [draw(st.integers(0, k - 1)) for k in kernel for _ in range(2)]
    stride, ceil = draw(st.none() | strides(5)), draw(st.booleans())
    size = [fit + draw(st.integers(0, 5)) for fit in fits(kernel, stride or kernel, padding, ceil)]
    params = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "ceil_mode": ceil,
        "count_include_pad": draw(st.booleans()),
        "divisor_override": draw(st.none() | st.integers(1, 5)),
        "ceil_rule": draw(st.sampled_from(["torch", "caffe"])),
    }
    return Case({"x": (draw(st.integers(0, 2)), draw(st.integers(0, 2)), *size)}, params)


_x = np.zeros((1, 1, 4, 4), np.float32)


_good = Case({"x": _x}, {"kernel_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("kernel_size must be at least 1, got 0", kernel_size=0),
    _bad("kernel_size must be one integer or two, got (2, 2, 2)", kernel_size=(2, 2, 2)),
    _bad("stride must be at least 1, got 0", stride=0),
    _bad("padding[1] must be at least 0, got -1", padding=(0, -1)),
    _bad("must be less than the window's extent of 2 x 2", padding=2),
    _bad("the window spans 5 rows (kernel 5, dilation 1), but x has 4 rows", kernel_size=5),
    _bad("ceil_mode must be True or False, got 'yes'", ceil_mode="yes"),
    _bad("ceil_rule must be one of 'torch', 'caffe', got None", ceil_rule=None),
    _bad("count_include_pad must be True or False, got 1", count_include_pad=1),
    _bad("divisor_override must be at least 1, got 0", divisor_override=0),
    _bad("divisor_override must be at most 2147483647, got 2147483648", divisor_override=2**31),
    _bad("divisor_override must be an integer, got 2.5", divisor_override=2.5),
]


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    return int(g.kh + g.kw)  # one for each row and column of a window, forward and backward
