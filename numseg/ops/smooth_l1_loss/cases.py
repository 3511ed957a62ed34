"""Inputs for smooth_l1_loss. Targets are integers: integers meet both kinks, reals none."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, integers, refused, shapes, wrong_arrays

EXACT = True  # beta is a power of 2, or 0


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = draw(shapes(min_axes=0, max_axes=3))
    params = {
        "beta": draw(st.sampled_from([0, 0.5, 1.0, 2.0])),
        "reduction": draw(st.sampled_from(["mean", "sum", "none", "batch_size"])),
        "huber": draw(st.booleans()),
        "empty": draw(st.sampled_from(["zero", "nan"])),
    }
    return Case({"x": shape, "target": lambda rng, dtype: integers(shape, dtype, rng)}, params)


_x = np.zeros((2, 3), np.float32)


_good = Case({"x": _x, "target": _x})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("target has shape (3,), expected (2, 3) (the shape of x)", target=_x[0]),
    _bad("beta must lie in [0, inf], got -1.0", beta=-1),
    _bad("beta must lie in [0, inf], got nan", beta=float("nan")),
    _bad("reduction must be one of 'mean', 'sum', 'none', 'batch_size', got 'avg'",
         reduction="avg"),
    _bad("huber must be True or False, got 1", huber=1),
    _bad("empty must be one of 'zero', 'nan', got 0", empty=0),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """In float64 a few for each loss, of numbers of at most 16, and one for each of the sum."""
    return 1 if plan.outputs[0].dtype == np.float32 else 64 + int(plan.geometry.size)


def cuda_roundings(plan: Plan[Any]) -> int:
    """The terms of float32 are of float32 there: two for a loss, one for the quotient."""
    return 3 if plan.outputs[0].dtype == np.float32 else roundings(plan)
