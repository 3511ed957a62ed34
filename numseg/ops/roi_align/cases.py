"""Inputs for roi_align: boxes across and beyond the border, small and inverted.

Sizes and places are such that all arithmetic on them is exact (bins of few halvings, as many
samples as a power of two), and that samples lie on a pixel, where the derivative has a kink, or at
some distance from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays
from numseg.typing import Array

EXACT = True

STEPS = (0.375, 0.75, 1.5, 3.5, -0.75, 0.0)
"""Sizes of bins; adaptive sampling takes 1, 1, 2, 4 and twice no samples of them."""


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n, k = draw(st.integers(0, 2)), draw(st.integers(0, 3))
    c = draw(st.sampled_from([0, 1, 2, 17]))  # one more than a block of the CPU kernels
    size = draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
    output = draw(st.tuples(*[st.sampled_from([1, 2, 4])] * 2))
    params: dict[str, Any] = {
        "output_size": output,
        "spatial_scale": draw(st.sampled_from([1.0, 0.5, 2.0])),
        "sampling_ratio": draw(st.sampled_from([-1, 0, 1, 2])),
        "aligned": draw(st.booleans()),
        "mode": draw(st.sampled_from(["avg", "avg", "max", "max_corners"])),
        "arithmetic": draw(st.sampled_from([None, "float64"])),
        "outside": draw(st.sampled_from(["zero", "zero", "clamp"])),
    }

    def boxes(rng: np.random.Generator, dtype: Any) -> Array:
        return _boxes(rng, k if n else 0, n, size, output, params["spatial_scale"]).astype(dtype)

    return Case({"x": (n, c, *size), "boxes": boxes}, params)


def _boxes(
    rng: np.random.Generator,
    k: int,
    images: int,
    size: tuple[int, int],
    output: tuple[int, int],
    scale: float,
) -> Array:
    """Boxes that begin at an odd multiple of 1/64, or on a pixel, or between two."""
    (h, w), (oh, ow) = size, output
    pixel = np.stack([rng.integers(-5, s + 3, k) for s in (w, h)], 1)
    start = pixel + rng.choice([*range(1, 64, 2), *[0, 32] * 8], (k, 2)) / 64
    extents = rng.choice(STEPS, (k, 2)) * (ow, oh)
    index = rng.integers(0, max(images, 1), (k, 1))
    return np.concatenate([index, start / scale, (start + extents) / scale], 1)


_x, _boxes_2 = np.zeros((2, 3, 8, 8), np.float32), np.zeros((2, 5), np.float32)


def _with(**columns: float) -> Array:
    boxes = _boxes_2.copy()
    for name, value in columns.items():
        boxes[1, ["n", "x1", "y1", "x2", "y2"].index(name)] = value
    return boxes


_good = Case({"x": _x, "boxes": _boxes_2}, {"output_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("boxes has shape (5,), expected 2 axes (k, 5)", boxes=_boxes_2[0]),
    _bad("boxes has shape (2, 4), expected (2, 5)", boxes=_boxes_2[:, :4]),
    _bad("boxes[1, 0] is 2.0, expected the index of one of the 2 images of x", boxes=_with(n=2)),
    _bad("boxes[1, 0] is -1.0, expected the index", boxes=_with(n=-1)),
    _bad("boxes[1, 0] is 0.5, expected the index", boxes=_with(n=0.5)),
    _bad("boxes[1, 0] is nan, expected the index", boxes=_with(n=np.nan)),
    _bad("boxes[0, 0] is 0.0, expected the index of one of the 0 images", x=_x[:0]),
    _bad("boxes[1, 2] is nan, expected a number", boxes=_with(y1=np.nan)),
    _bad("boxes[1, 3] is inf, expected a number", boxes=_with(x2=np.inf)),
    _bad("lies within 16777216 pixels", boxes=_with(y2=2e7)),
    _bad("times spatial_scale 1000000.0", boxes=_with(x1=-20), spatial_scale=1e6),
    _bad("output_size must be at least 1, got 0", output_size=0),
    _bad("output_size must be one integer or two, got (1, 2, 3)", output_size=(1, 2, 3)),
    _bad("sampling_ratio must be an integer, got 2.0", sampling_ratio=2.0),
    _bad("sampling_ratio must be at most 1024, got 1025", sampling_ratio=1025),
    _bad("spatial_scale must lie in [0, 16777216.0], got nan", spatial_scale=float("nan")),
    _bad("aligned must be True or False, got 1", aligned=1),
    _bad("mode must be one of 'avg', 'max', 'max_corners', got 'sum'", mode="sum"),
    _bad("arithmetic must be one of 'float32', 'float64', got 'exact'", arithmetic="exact"),
    _bad("outside must be one of 'zero', 'clamp', got 'wrap'", outside="wrap"),
]


def roundings(plan: Plan[Any]) -> float:
    """A value is a sum over rows, then over columns, each rounded once a term. A coordinate's
    gradient sums such values over channels and bins, each at most twice the scale."""
    g = plan.geometry
    return float(g.h + g.w + 8) * max(1, 2 * g.c * g.oh * g.ow * g.scale, g.k * g.oh)
