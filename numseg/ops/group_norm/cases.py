"""Inputs for group_norm: from one group to one of each channel, single values, empty axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    groups, channels = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    rest = draw(st.lists(st.integers(0, 3), max_size=2))
    shape = (draw(st.integers(0, 2)), groups * channels, *rest)
    vector = (groups * channels,)
    arrays = {
        "x": shape,
        "weight": draw(st.sampled_from([vector, None])),
        "bias": draw(st.sampled_from([vector, None])),
    }
    # of two values nothing is left but what eps lets through: differences see only roundings
    few = channels * math.prod(rest) <= 2
    eps = 0.5 if few else draw(st.sampled_from([1e-5, 0.5]))
    return Case(arrays, {"num_groups": groups, "eps": eps})


_x, _c = np.zeros((2, 6, 2, 2), np.float32), np.ones(6, np.float32)


_good = Case({"x": _x, "weight": None, "bias": None}, {"num_groups": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (2,), expected at least 2 axes (n, c, ...)", x=_x[:, 0, 0, 0]),
    _bad("num_groups is 4, but x has 6 channels: no multiple of it", num_groups=4),
    _bad("num_groups must be at least 1, got 0", num_groups=0),
    _bad("num_groups must be an integer, got 2.0", num_groups=2.0),
    _bad("weight has shape (2,), expected (6,)", weight=_c[:2]),
    _bad("eps must lie in [0.0, inf], got -1.0", eps=-1),
]


def roundings(plan: Plan[Any]) -> int:
    """A float32 result is computed in float64 and rounded once, or twice in the sum over images. In
    float64, a sum over a group of m values rounds m times; two of these values lie at least
    1 / size apart, and dividing by a standard deviation that may be that small enlarges the error
    as much."""
    y, g = plan.outputs[0], plan.geometry
    m = g.channels * g.size
    return 1 if y.dtype == np.float32 else 4 * (g.n * m + 4) * max(y.size, 1)


def cuda_roundings(plan: Plan[Any]) -> int:
    """In float32 a normalised number errs by less than 4. Sums are rounded once, but m such numbers
    go into them, of any sign: those of a group, or of a channel of all images."""
    y, g = plan.outputs[0], plan.geometry
    m = max(g.channels, g.n) * g.size
    return 4 * (m + 4) if y.dtype == np.float32 else roundings(plan)
