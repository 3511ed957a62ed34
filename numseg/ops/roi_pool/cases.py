"""Inputs for roi_pool: boxes across and beyond the border, empty bins, bins that share pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays
from numseg.typing import Array

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n, k = draw(st.integers(0, 2)), draw(st.integers(0, 3))
    c = draw(st.sampled_from([0, 1, 2, 17]))  # one more than a block of the CPU kernels
    h, w = draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
    params: dict[str, Any] = {
        "output_size": draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        "spatial_scale": draw(st.sampled_from([1.0, 0.5, 2.0])),
        "return_indices": draw(st.booleans()),
        "arithmetic": draw(st.sampled_from([None, "float32", "float64", "exact"])),
        "rounding": draw(st.sampled_from(["half_away", "half_away", "half_even", "none"])),
    }
    if params["rounding"] == "none" and params["arithmetic"] == "exact":
        params["arithmetic"] = None

    def boxes(rng: np.random.Generator, dtype: Any) -> Array:
        corners = rng.integers(-12, 40, (k if n else 0, 4)) / 4  # halves among them
        index = rng.integers(0, max(n, 1), (len(corners), 1))
        return np.concatenate([index, corners / params["spatial_scale"]], 1).astype(dtype)

    return Case({"x": (n, c, h, w), "boxes": boxes}, params)


_x, _boxes = np.zeros((2, 3, 8, 8), np.float32), np.zeros((2, 5), np.float32)

_infinite = np.array([0, np.inf, 0, 0, 0], np.float32)


_good = Case({"x": _x, "boxes": _boxes}, {"output_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("boxes has shape (2, 4), expected (2, 5)", boxes=_boxes[:, :4]),
    _bad("boxes[0, 0] is 2.0, expected the index of one of the 2 images of x", boxes=_boxes + 2),
    _bad("boxes[0, 0] is nan, expected the index", boxes=_boxes * np.nan),
    _bad("boxes[0, 1] is inf, expected a number", boxes=_boxes + _infinite),
    _bad("output_size must be at least 1, got 0", output_size=0),
    _bad("spatial_scale must lie in [0, 16777216.0], got -1.0", spatial_scale=-1),
    _bad("return_indices must be True or False, got 1", return_indices=1),
    _bad("'float32', 'float64', 'exact', got 'single'", arithmetic="single"),
    _bad("must be one of 'half_away', 'half_even', 'none', got 'down'", rounding="down"),
    _bad("divides whole pixels, but rounding is 'none'", arithmetic="exact", rounding="none"),
]


def roundings(plan: Plan[Any]) -> int:
    """A pixel's gradient adds up the bins that it won."""
    g = plan.geometry
    return max(1, int(g.k * g.oh * g.ow))
