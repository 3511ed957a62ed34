"""Inputs for conv2d: every stride, dilation, side of padding and kind of group, empty axes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from numseg.geometry import extent
from numseg.operator import Plan
from numseg.ops.conv2d import bound
from numseg.testing.cases import Case, dilations, refused, strides, wrong_arrays


def EXACT(plan: Plan[Any]) -> bool:  # noqa: N802
    """Halves and quarters of small integers are exact, fifths and sevenths are not."""
    return plan.geometry.tile != 4


_small = st.integers(0, 2)
_pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def valid(draw: st.DrawFn) -> Case:
    kernel, stride = draw(_pairs), draw(strides(3))
    dilation = draw(dilations(kernel, 3))
    groups = draw(st.integers(1, 3))
    group_filters, group_channels = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    spans = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    padding: Any = draw(st.tuples(_small, _small, _small, _small))
    fits = [max(s - padding[2 * a] - padding[2 * a + 1], 0) for a, s in enumerate(spans)]
    size = [fit + draw(st.integers(0, 5)) for fit in fits]
    if min(size) > 0 and draw(st.integers(0, 3)) == 0:
        padding = draw(st.sampled_from(["same", "same_lower"]))
    filters = groups * group_filters
    arrays = {
        "x": (draw(_small), groups * group_channels, *size),
        "weight": (filters, group_channels, *kernel),
        "bias": draw(st.sampled_from([None, (filters,)])),
    }
    params = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return Case(arrays, params)


@st.composite
def winograd(draw: st.DrawFn, algorithms: tuple[str, ...] = ("winograd2", "winograd4")) -> Case:
    """Calls of the algorithms that :func:`valid` leaves out: they give NaN where the definition
    does not, and other frameworks have no words for them."""
    groups = draw(st.integers(1, 2))
    group_filters, group_channels = draw(st.integers(0, 9)), draw(st.integers(0, 4))
    padding: Any = draw(st.tuples(*[st.integers(0, 4)] * 4))
    least = [max(3 - padding[2 * a] - padding[2 * a + 1], 0) for a in (0, 1)]
    size = [fit + draw(st.integers(0, 11)) for fit in least]
    if min(size) > 0 and draw(st.integers(0, 3)) == 0:
        padding = "same"
    filters = groups * group_filters
    arrays = {
        "x": (draw(_small), groups * group_channels, *size),
        "weight": (filters, group_channels, 3, 3),
        "bias": draw(st.sampled_from([None, (filters,)])),
    }
    algorithm = draw(st.sampled_from(algorithms))
    return Case(arrays, {"padding": padding, "groups": groups, "algorithm": algorithm})


_good = Case({"x": (1, 4, 5, 5), "weight": (6, 4, 3, 3), "bias": None})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("weight has shape (6, 4, 3), expected 4 axes", weight=(6, 4, 3)),
    _bad("so x must have 3 channels in 1 group, but x has 4", weight=(6, 3, 3, 3)),
    _bad("so x must have 8 channels in 2 groups, but x has 4", groups=2),
    _bad("groups = 4 does not divide the 6 filters of weight", weight=(6, 1, 3, 3), groups=4),
    _bad("groups must be at least 1, got 0", groups=0),
    _bad("bias has shape (4,), expected (6,) (one for each of the 6 filters of weight)", bias=(4,)),
    _bad("weight's kernel columns must be at least 1, got 0", weight=(6, 4, 3, 0)),
    _bad("stride must be at least 1, got -1", stride=-1),
    _bad("stride must be an integer, got 1.5", stride=1.5),
    _bad("dilation[1] must be at least 1, got 0", dilation=(1, 0)),
    _bad("padding[2] must be at least 0, got -1", padding=(0, 0, -1, 0)),
    _bad("padding must be one of 'valid', 'same', 'same_lower', got 'full'", padding="full"),
    _bad("algorithm must be one of 'direct', 'winograd2', 'winograd4', got 'fft'", algorithm="fft"),
    _bad(
        "algorithm 'winograd2' takes kernel (3, 3), stride (1, 1), dilation (1, 1), got "
        "kernel (3, 2), stride (1, 1), dilation (1, 1)",
        weight=(6, 4, 3, 2),
        algorithm="winograd2",
    ),
    _bad("got kernel (3, 3), stride (1, 2), dilation", stride=(1, 2), algorithm="winograd4"),
    _bad("stride (1, 1), dilation (2, 1)", dilation=(2, 1), algorithm="winograd4"),
    _bad("the window spans 7 rows (kernel 3, dilation 3), but x has 5 rows", dilation=3),
]


def roundings(plan: Plan[Any]) -> float:
    """As many as the longest of the three sums has terms: an output's, a pixel's, a weight's."""
    g = plan.geometry
    taps = bound.roundings(g) if g.tile else g.kh * g.kw * max(g.c, g.f) // g.groups + 1
    return max(taps, g.n * g.oh * g.ow + 1)


scales = bound.scales
