"""Inputs for max_pool2d: windows larger than the image but for padding, gaps, ties, empty axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.geometry import INDEX_LAYOUTS, extent
from numseg.operator import Plan
from numseg.testing.cases import Case, dilations, fits, refused, strides, wrong_arrays

EXACT = "value"  # ties="split" divides gradients


@st.composite
def valid(draw: st.DrawFn) -> Case:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(dilations(kernel, 2))
    spans = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    padding = draw(st.tuples(*(st.integers(0, span - 1) for span in spans for _ in range(2))))
    stride, ceil = draw(st.none() | strides(4)), draw(st.booleans())
    size = [fit + draw(st.integers(0, 4)) for fit in fits(spans, stride or kernel, padding, ceil)]
    params = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil,
        "return_indices": draw(st.booleans()),
        "ceil_rule": draw(st.sampled_from(["torch", "caffe"])),
        "nan": draw(st.sampled_from(["propagate", "first", "drop"])),
        "lowest": draw(st.sampled_from([-math.inf, -math.inf, -3.4028235e38, 0])),
        "ties": draw(st.sampled_from(["first", "split", "all"])),
        "index_layout": draw(st.sampled_from(INDEX_LAYOUTS)),
    }
    return Case({"x": (draw(st.integers(0, 2)), draw(st.integers(0, 2)), *size)}, params)


_x = np.zeros((1, 1, 4, 4), np.float32)


_good = Case({"x": _x}, {"kernel_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("kernel_size must be at least 1, got 0", kernel_size=0),
    _bad("kernel_size must be an integer, got nan", kernel_size=float("nan")),
    _bad("stride must be at least 1, got -1", stride=-1),
    _bad("dilation[1] must be at least 1, got 0", dilation=(1, 0)),
    _bad("must be less than the window's extent of 2 x 2", padding=2),
    _bad("the window spans 5 rows (kernel 5, dilation 1), but x has 4 rows", kernel_size=5),
    _bad("ceil_mode must be True or False, got 1", ceil_mode=1),
    _bad("ceil_rule must be one of 'torch', 'caffe', got 'onnx'", ceil_rule="onnx"),
    _bad("nan must be one of 'propagate', 'first', 'drop', got 'last'", nan="last"),
    _bad("lowest must be a number, got nan", lowest=math.nan),
    _bad("lowest must be a real number, got None", lowest=None),
    _bad("ties must be one of 'first', 'split', 'all', got 'last'", ties="last"),
    _bad("index_layout must be one of 'hw', 'nchw', 'ncwh', 'hwc', 'nhwc'", index_layout="wh"),
]


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    return int(2 * g.kh * g.kw)  # a pixel's gradient adds up as many quotients
