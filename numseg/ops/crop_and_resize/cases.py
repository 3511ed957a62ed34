"""Inputs for crop_and_resize: boxes across and beyond the border, mirrored and without size.

All arithmetic on places is exact, and no sample lies on a pixel or half-way between two, where the
derivative or the value has a kink, nor on the border of the image, where the value jumps.
"""

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
    size = draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
    crop = draw(st.tuples(*[st.sampled_from([1, 2, 3, 5])] * 2))
    params: dict[str, Any] = {
        "crop_size": crop,
        "method": draw(st.sampled_from(["bilinear", "bilinear", "nearest"])),
        "extrapolation_value": draw(st.sampled_from([0.0, 3.0])),
        "on_pixels": draw(st.sampled_from(["right", "zero"])),
        "arithmetic": draw(st.sampled_from([None, "float64"])),
    }
    k = k if n * size[0] * size[1] else 0

    def boxes(rng: np.random.Generator, dtype: Any) -> Array:
        start = (2 * rng.integers(-40, 80, (k, 2)) + 1) / 128
        steps = rng.integers(-2, 6, (k, 2)) / 8  # times H - 1: from one sample to the next
        extent = steps * np.maximum(np.array(crop) - 1, 2)
        return np.concatenate([start, start + extent], 1).astype(dtype)

    def indices(rng: np.random.Generator, dtype: Any) -> Array:
        return rng.integers(0, max(n, 1), k)

    return Case({"x": (n, c, *size), "boxes": boxes, "box_indices": indices}, params)


_x, _boxes, _index = (
    np.zeros((2, 3, 8, 5), np.float32),
    np.zeros((2, 4), np.float32),
    np.zeros(2, int),
)


_good = Case({"x": _x, "boxes": _boxes, "box_indices": _index}, {"crop_size": 2})
_bad = refused(_good)


def _with(value: float, place: tuple[int, int]) -> Array:
    boxes = _boxes.copy()
    boxes[place] = value
    return boxes


invalid = [
    *wrong_arrays(_good),
    _bad("boxes has shape (2, 3), expected (2, 4)", boxes=_boxes[:, :3]),
    _bad("box_indices has dtype float64, expected an integer", box_indices=np.zeros(2)),
    _bad("box_indices has shape (1,), expected (2,) (one of each box)", box_indices=_index[:1]),
    _bad("box_indices[0] is 2, expected the index of one of the 2 images", box_indices=_index + 2),
    _bad("box_indices[0] is -1, expected the index", box_indices=_index - 1),
    _bad("boxes[1, 2] is nan, expected a number", boxes=_with(np.nan, (1, 2))),
    _bad("boxes[0, 3] is inf, expected a number that times 4 pixels", boxes=_with(np.inf, (0, 3))),
    _bad("times 7 pixels lies within 16777216", boxes=_with(-3e6, (1, 0))),
    _bad("x has shape (2, 3, 0, 5): 2 boxes of images without pixels", x=_x[:, :, :0]),
    _bad("crop_size must be at least 1, got 0", crop_size=0),
    _bad("method must be one of 'bilinear', 'nearest', got 'cubic'", method="cubic"),
    _bad("extrapolation_value must be a real number, got '0'", extrapolation_value="0"),
    _bad("on_pixels must be one of 'right', 'zero', got 'left'", on_pixels="left"),
    _bad("arithmetic must be one of 'float32', 'float64', got 'exact'", arithmetic="exact"),
]


def roundings(plan: Plan[Any]) -> float:
    """A value is a sum of four products. A coordinate's gradient sums such values over channels and
    samples, a pixel's over samples, each times the size of the image."""
    g = plan.geometry
    return float(16 + 4 * (g.h + g.w) * g.oh * g.ow * max(g.c, g.k))
