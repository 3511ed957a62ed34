"""Inputs for batch_norm: any number of trailing axes, both modes, parts left out, empty axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays
from numseg.typing import Array

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = tuple(draw(st.lists(st.integers(0, 3), min_size=2, max_size=4)))
    vector = (shape[1],)
    values = shape[0] * math.prod(shape[2:])
    training = draw(st.booleans())
    tracked = not training or draw(st.booleans())
    arrays = {
        "x": shape,
        "running_mean": vector if tracked else None,
        "running_var": (lambda rng, dtype: variances(vector, rng, dtype)) if tracked else None,
        "weight": draw(st.sampled_from([vector, None])),
        "bias": draw(st.sampled_from([vector, None])),
    }
    params = {
        "training": training,
        "momentum": draw(st.sampled_from([0.0, 0.1, 1.0])),
        # of two values nothing is left but what eps lets through: differences see only roundings
        "eps": 0.5 if training and values <= 2 else draw(st.sampled_from([1e-5, 0.5])),
        "return_running": draw(st.booleans()),
        "unbiased": draw(st.booleans()),
        "momentum_of": draw(st.sampled_from(["new", "old"])),
        "allow_single": values == 1 or draw(st.booleans()),
    }
    return Case(arrays, params)


def variances(shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> Array:
    return rng.uniform(0.5, 2.0, shape).astype(dtype)


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
        "running_mean is not given, but training=False normalises by it",
        running_mean=None,
        running_var=None,
    ),
    _bad("x has shape (1, 3, 1, 1), 1 value per channel", x=_x[:1, :, :1, :1], training=True),
    _bad("unbiased must be True or False, got 'no'", unbiased="no"),
    _bad("momentum_of must be one of 'new', 'old', got 'both'", momentum_of="both"),
    _bad("allow_single must be True or False, got None", allow_single=None),
    _bad("training must be True or False, got 1", training=1),
    _bad("momentum must lie in [0.0, 1.0], got 1.5", momentum=1.5),
    _bad("eps must lie in [0.0, inf], got -1.0", eps=-1),
    _bad("eps must lie in [0.0, inf], got nan", eps=float("nan")),
]


def roundings(plan: Plan[Any]) -> int:
    """A float32 result is computed in float64 and rounded once. In float64, a sum over a channel
    of m values rounds m times; two of these values lie at least 1 / size apart, and dividing by a
    standard deviation that may be that small enlarges the error as much."""
    y, g = plan.outputs[0], plan.geometry
    return 1 if y.dtype == np.float32 else 4 * (g.n * g.size + 4) * max(y.size, 1)


def cuda_roundings(plan: Plan[Any]) -> int:
    """In float32 a normalised number errs by less than 4. Sums are rounded once, but m such numbers
    go into them, of any sign."""
    y, g = plan.outputs[0], plan.geometry
    return 4 * (g.n * g.size + 4) if y.dtype == np.float32 else roundings(plan)
