"""Inputs for sigmoid_focal_loss: hard and soft targets, alpha or none, any gamma."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, shapes, wrong_arrays
from numseg.typing import Array

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape, hard = draw(shapes(min_axes=0, max_axes=4)), draw(st.booleans())

    def targets(rng: np.random.Generator, dtype: Any) -> Array:
        values = rng.uniform(0, 1, shape)
        return np.asarray(np.round(values) if hard else values, dtype)

    params = {
        "alpha": draw(st.sampled_from([0.25, 0, 1, -1])),
        "gamma": draw(st.sampled_from([0, 0.5, 1, 2, 3.5])),
        "reduction": draw(st.sampled_from(["none", "mean", "sum", "batch_size"])),
        "empty": draw(st.sampled_from(["zero", "nan"])),
    }
    return Case({"x": shape, "targets": targets}, params)


_x = np.zeros((2, 3), np.float32)


_good = Case({"x": _x, "targets": _x})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("targets has shape (3,), expected (2, 3) (the shape of x)", targets=_x[0]),
    _bad("targets has dtype int64, expected float32 or float64", targets=_x.astype(int)),
    _bad("alpha must lie in [0, 1] or be -1, got -0.5", alpha=-0.5),
    _bad("alpha must lie in [-inf, 1], got 1.5", alpha=1.5),
    _bad("gamma must lie in [0, inf], got -1.0", gamma=-1),
    _bad("reduction must be one of 'mean', 'sum', 'none', 'batch_size', got 'all'",
         reduction="all"),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """Float32: of the result alone. Float64: less than 8 gamma for the power, of numbers of at
    most 4, as many for the rest of a gradient, and one for each number of the sum."""
    return 1 if plan.outputs[0].dtype == np.float32 else 256 + int(plan.geometry.size)


def cuda_roundings(plan: Plan[Any]) -> int:
    """The terms of float32 are of float32 there: less than 8 for a loss, of numbers of at most 4,
    and for the factors of a gradient of at most 8."""
    return 64 if plan.outputs[0].dtype == np.float32 else roundings(plan)
