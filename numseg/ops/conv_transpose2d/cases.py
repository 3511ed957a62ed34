"""Inputs for conv_transpose2d: overlapping and gapped stamps, every cut, output padding."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from numseg.geometry import transposed_size
from numseg.operator import Plan
from numseg.testing.cases import Case, dilations, refused, wrong_arrays


def EXACT(plan: Plan[Any]) -> bool | str:  # noqa: N802 - as the constant that others state
    """An average is a quotient, rounded as the definition's; its gradients are sums of those."""
    return "value" if plan.geometry.average else True


_small = st.integers(0, 2)
_pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def valid(draw: st.DrawFn) -> Case:
    kernel, size = draw(_pairs), draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride, dilation = draw(dilations(size, 3)), draw(dilations(kernel, 3))
    groups = draw(st.integers(1, 3))
    channels, filters = groups * draw(_small), groups * draw(_small)
    limits = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    extra = tuple(draw(st.integers(0, min(limit, 2))) for limit in limits)
    top, bottom, left, right = padding = draw(st.tuples(_small, _small, _small, _small))
    axes = zip(size, kernel, stride, (top, left), (bottom, right), dilation, extra, strict=True)
    out = tuple(transposed_size(*axis) for axis in axes)
    assume(min(out) >= 1)
    params: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    params["groups"] = groups
    params |= draw(st.sampled_from([{"output_padding": extra}, {"output_size": out}]))
    params["overlap"] = draw(st.sampled_from(["sum", "average"]))
    if draw(st.integers(0, 3)) == 0:
        params["padding"] = draw(st.sampled_from(["same", "same_lower"]))
        if "output_size" in params:  # any that the stamps and less than a stride of zeros fill
            sizes = zip(size, kernel, stride, dilation, strict=True)
            whole = [transposed_size(i, k, s, 0, 0, d, max(s, d) - 1) for i, k, s, d in sizes]
            params["output_size"] = tuple(draw(st.integers(1, min(o, 15))) for o in whole)
    arrays = {
        "x": (draw(_small), channels, *size),
        "weight": (channels, filters // groups, *kernel),
        "bias": draw(st.sampled_from([None, (filters,)])),
    }
    return Case(arrays, params)


_good = Case({"x": (1, 4, 5, 5), "weight": (4, 6, 3, 3), "bias": None})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("weight has 6 input channels (its first axis), but x has 4", weight=(6, 4, 3, 3)),
    _bad("groups = 3 does not divide the 4 channels of x", groups=3),
    _bad("bias has shape (4,), expected (6,) (one for each of the 6 output channels)", bias=(4,)),
    _bad("stride must be at least 1, got 0", stride=0),
    _bad("padding must be one of 'valid', 'same', 'same_lower', got 'full'", padding="full"),
    _bad("output_size (13, 13) adds 2 rows", stride=2, padding="same", output_size=(13, 13)),
    _bad("overlap must be one of 'sum', 'average', got 'mean'", overlap="mean"),
    _bad("output_padding adds 2 rows, expected at least 0 and less", stride=2, output_padding=2),
    _bad("output_size (11, 14) adds 3 columns", stride=2, output_size=(11, 14)),
    _bad("output_size (10, 11) adds -1 rows", stride=2, output_size=(10, 11)),
    _bad("not both", stride=2, output_size=(11, 11), output_padding=1),
    _bad("the result would have -1 x -1 pixels", padding=4),
]


def roundings(plan: Plan[Any]) -> int:
    """As many as the longest of the three sums has terms: an output's, a pixel's, a weight's."""
    g = plan.geometry
    taps = g.kh * g.kw * max(g.c, g.f) // g.groups
    return int(max(taps, g.n * g.h * g.w)) + 1 + g.average
