"""Inputs for bilateral_features: images without pixels, channels or batch, other widths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Maker, refused, shapes, wrong_arrays
from numseg.typing import Array

EXACT = True


def widths(count: int) -> Maker:
    """Positive ones, small and large."""

    def make(rng: np.random.Generator, dtype: Any) -> Array:
        return np.exp(rng.uniform(-2, 3, count)).astype(dtype)

    return make


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = draw(shapes(min_axes=4, max_axes=4))
    return Case({"x": shape, "width": widths(2 + shape[1])})


_x = np.zeros((1, 2, 2, 3), np.float32)
_width = np.ones(4, np.float32)
_good = Case({"x": _x, "width": _width})
_bad = refused(_good)


def wrong_widths(width: Array, bad: Any) -> list[Any]:
    """The refusals of values that are no standard deviations."""
    return [
        bad(f"width[1] is {value:g}, expected a positive, finite standard deviation",
            width=np.where(np.arange(width.size) == 1, value, width).astype(width.dtype))
        for value in (0.0, -1.0, math.nan, math.inf)
    ]  # fmt: skip


invalid = [
    *wrong_arrays(_good),
    *wrong_widths(_width, _bad),
    _bad("width has shape (3,), expected (4,)", width=_width[:3]),
    _bad("width has shape (1, 4), expected (4,)", width=_width[None]),
]


def roundings(plan: Plan[Any]) -> float:
    """One for the quotient. The gradient of a width is a sum of products in float64, divided by a
    square: of numbers up to e**2 = 7.4 times the scale, which the largest of them sets."""
    g = plan.geometry
    return 8 + (g.n * g.h * g.w if plan.outputs[0].dtype == np.float64 else 0)
