"""Inputs for aspp2d: rates beyond the image, kernels of every kind, with and without the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays


def EXACT(plan: Plan[Any]) -> bool:  # noqa: N802 - as the constant that others state
    """A mean is rounded."""
    g = plan.geometry
    return len(g.filters) == len(g.kh)


_small = st.integers(0, 2)
_odd_or_even = st.sampled_from([(1, 1), (3, 3), (2, 3)])


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n, c, h, w = draw(st.tuples(_small, _small, st.integers(0, 5), st.integers(0, 5)))
    combine = draw(st.sampled_from(["concat", "sum"]))
    kernels = draw(st.lists(_odd_or_even, min_size=1, max_size=3))
    pooled = draw(st.booleans())
    count = len(kernels) + pooled
    if combine == "sum":
        filters = [draw(_small)] * count
    else:
        filters = draw(st.lists(_small, min_size=count, max_size=count))
    total = filters[0] if combine == "sum" else sum(filters)
    arrays = {
        "x": (n, c, h, w),
        "weights": [(f, c, *kernel) for f, kernel in zip(filters, kernels, strict=False)],
        "pool_weight": (filters[-1], c, 1, 1) if pooled else None,
        "bias": draw(st.sampled_from([None, (total,)])),
    }
    rates = draw(st.lists(st.integers(1, 6), min_size=len(kernels), max_size=len(kernels)))
    return Case(arrays, {"rates": rates, "combine": combine})


_f = (2, 4, 3, 3)
_good = Case(
    {"x": (1, 4, 5, 5), "weights": [_f, _f], "pool_weight": None, "bias": None}, {"rates": (1, 2)}
)
_bad = refused(_good)

invalid = [
    *wrong_arrays(_good),
    _bad("weights must be a list or tuple of arrays", weights=_f),
    _bad("weights must hold at least one array", weights=[], rates=()),
    _bad(
        "weights[1] has dtype float64, but x has float32",
        weights=[np.zeros(_f, np.float32), np.zeros(_f)],
    ),
    _bad("weights[1] takes 3 channels, but x has 4", weights=[_f, (2, 3, 3, 3)]),
    _bad("weights[0]'s kernel is 0 x 3, expected at least 1 x 1", weights=[(2, 4, 0, 3), _f]),
    _bad("pool_weight's kernel is 3 x 3, expected 1 x 1", pool_weight=_f),
    _bad("pool_weight takes 5 channels, but x has 4", pool_weight=(2, 5, 1, 1)),
    _bad("weights holds 2 arrays, but there are 3 rates", rates=(1, 2, 3)),
    _bad("rates must be a sequence of integers, got 6", rates=6),
    _bad("rates[1] must be at least 1, got 0", rates=(1, 0)),
    _bad("branches have [2, 1] filters", weights=[_f, (1, 4, 3, 3)], combine="sum"),
    _bad("bias has shape (2,), expected (4,) (one for each of the 4 channels", bias=(2,)),
    _bad("combine must be one of 'concat', 'sum', got 'add'", combine="add"),
]


def roundings(plan: Plan[Any]) -> int:
    """As many as the longest of the sums has terms, and those of the mean and of the branches."""
    g = plan.geometry
    taps = sum(k * m for k, m in zip(g.kh, g.kw, strict=True)) * max(g.c, *g.filters)
    return int(max(taps, g.n * g.h * g.w)) + g.h * g.w + len(g.filters) + 4
