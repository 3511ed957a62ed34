"""Inputs for spatial_features: images without pixels, channels or batch, other widths."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.bilateral_features.cases import widths, wrong_widths
from numseg.testing.cases import Case, refused, shapes, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    return Case({"x": draw(shapes(min_axes=4, max_axes=4)), "width": widths(2)})


_x = np.zeros((1, 2, 2, 3), np.float32)
_width = np.ones(2, np.float32)
_good = Case({"x": _x, "width": _width})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    *wrong_widths(_width, _bad),
    _bad("width has shape (4,), expected (2,)", width=np.ones(4, np.float32)),
    _bad("width has shape (), expected (2,)", width=np.ones((), np.float32)),
]


def roundings(plan: Plan[Any]) -> float:
    """As of bilateral_features."""
    g = plan.geometry
    return 8 + (g.h * g.w if plan.outputs[0].dtype == np.float64 else 0)
