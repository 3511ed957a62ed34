"""Inputs for hard_swish: integers from -4 to 4, with both kinks, and numbers on every piece."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, Maker, shapes
from numseg.typing import Array, Shape

EXACT = True


def _wide(shape: Shape) -> Maker:
    """Numbers from -6 to 6, none near a kink."""

    def make(rng: np.random.Generator, dtype: Any) -> Array:
        x = rng.uniform(-6, 6, shape)
        return np.where(np.abs(np.abs(x) - 3) < 0.01, 1.0, x).astype(dtype)

    return make


valid = shapes(min_axes=0, max_axes=4).flatmap(
    lambda shape: st.sampled_from([Case({"x": shape}), Case({"x": _wide(shape)})])
)

invalid = [
    Invalid(Case({"x": np.zeros(3, np.int32)}), "x has dtype int32, expected float32 or float64"),
    Invalid(Case({"x": [1.0, 2.0]}), "x must be an array"),
]


def roundings(plan: Plan[Any]) -> int:
    return 1  # of a float32 result; a float64 one is computed as it is by definition
