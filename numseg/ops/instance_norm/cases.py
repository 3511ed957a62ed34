"""Inputs for instance_norm: both statistics, parts left out, single values, empty axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.batch_norm.cases import cuda_roundings, variances
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = False
__all__ = ["EXACT", "cuda_roundings", "invalid", "roundings", "valid"]


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = tuple(draw(st.lists(st.integers(0, 3), min_size=2, max_size=4)))
    vector = (shape[1],)
    of_input = draw(st.booleans())
    tracked = not of_input or draw(st.booleans())
    arrays = {
        "x": shape,
        "running_mean": vector if tracked else None,
        "running_var": (lambda rng, dtype: variances(vector, rng, dtype)) if tracked else None,
        "weight": draw(st.sampled_from([vector, None])),
        "bias": draw(st.sampled_from([vector, None])),
    }
    few = of_input and math.prod(shape[2:]) <= 2  # nothing is left but what eps lets through
    params = {
        "use_input_stats": of_input,
        "momentum": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "eps": 0.5 if few else draw(st.sampled_from([1e-5, 0.5])),
        "return_running": draw(st.booleans()),
    }
    return Case(arrays, params)


_x, _c = np.zeros((2, 3, 2, 2), np.float32), np.ones(3, np.float32)


_good = Case({"x": _x, "running_mean": _c, "running_var": _c, "weight": None, "bias": None})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (2,), expected at least 2 axes (n, c, ...)", x=_x[:, 0, 0, 0]),
    _bad("weight has shape (2,), expected (3,)", weight=_c[:2]),
    _bad("bias has shape (3, 1), expected (3,)", bias=_c[:, None]),
    _bad("running_var is not given, but the other running statistic is", running_var=None),
    _bad(
        "running_mean is not given, but use_input_stats=False normalises by it",
        running_mean=None,
        running_var=None,
        use_input_stats=False,
    ),
    _bad("use_input_stats must be True or False, got 1", use_input_stats=1),
    _bad("return_running must be True or False, got None", return_running=None),
    _bad("momentum must lie in [0.0, 1.0], got 1.5", momentum=1.5),
    _bad("eps must lie in [0.0, inf], got -1.0", eps=-1),
]


def roundings(plan: Plan[Any]) -> int:
    """As batch_norm's: a sum over a plane rounds once for each value, and dividing by a standard
    deviation that may be as small as what is between two values enlarges the error as much."""
    y, g = plan.outputs[0], plan.geometry
    return 1 if y.dtype == np.float32 else 4 * (g.n * g.size + 4) * max(y.size, 1)
