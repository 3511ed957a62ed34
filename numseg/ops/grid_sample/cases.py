"""Inputs for grid_sample: places on the image, across its border and far away.

Places lie an odd number of eighths of a pixel from one, where no slope has a kink and no pixel is
as near as another; tests/ops/test_grid_sample.py has those that do. Where sizes are powers of two,
or one more if corners are aligned, all arithmetic is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.grid_sample.geometry import MODES, PADDINGS
from numseg.testing.cases import Case, refused, wrong_arrays
from numseg.typing import Array


def EXACT(plan: Plan[Any]) -> bool:  # noqa: N802 - a case's statement
    g = plan.geometry
    steps = (size - 1 if g.align else size for size in (g.h, g.w))
    return MODES[g.mode] != "bicubic" and all(s & (s - 1) == 0 for s in steps)


@st.composite
def valid(draw: st.DrawFn) -> Case:
    n = draw(st.integers(0, 2))
    c = draw(st.sampled_from([0, 1, 2, 3, 5, 18]))
    align = draw(st.booleans())
    exact = [2, 3, 5] if align else [1, 2, 4]
    h, w = (draw(st.sampled_from(exact) | st.integers(1, 6)) for _ in range(2))
    outputs = draw(st.tuples(st.integers(0, 3), st.integers(0, 4)))
    reach = draw(st.sampled_from([0, 3, 30]))

    def grid(rng: np.random.Generator, dtype: Any) -> Array:
        shape = (n, *outputs)
        found = []
        for size in (w, h):
            s = rng.integers(-reach, size + reach, shape) + rng.choice([1, 3, 5, 7], shape) / 8
            found.append(2 * s / max(size - 1, 1) - 1 if align else (2 * s + 1) / size - 1)
        return np.stack(found, -1).astype(dtype)

    params = {
        "mode": draw(st.sampled_from(MODES)),
        "padding_mode": draw(st.sampled_from(PADDINGS)),
        "align_corners": align,
    }
    return Case({"x": (n, c, h, w), "grid": grid}, params)


_x, _grid = np.zeros((2, 3, 4, 5), np.float32), np.zeros((2, 6, 7, 2), np.float32)
_good = Case({"x": _x, "grid": _grid})
_bad = refused(_good)

invalid = [
    *wrong_arrays(_good),
    _bad("grid has shape (6, 7, 2), expected 4 axes (n, oh, ow, 2)", grid=_grid[0]),
    _bad("grid has shape (1, 6, 7, 2), expected (2, 6, 7, 2)", grid=_grid[:1]),
    _bad("grid has shape (2, 6, 7, 1), expected (2, 6, 7, 2)", grid=_grid[..., :1]),
    _bad("grid has places, but x has no pixels: 0 x 5", x=_x[:, :, :0]),
    _bad("mode must be one of 'bilinear', 'nearest', 'bicubic', got 'linear'", mode="linear"),
    _bad("padding_mode must be one of 'zeros', 'border',", padding_mode="edge"),
    _bad("align_corners must be True or False, got None", align_corners=None),
]


def roundings(plan: Plan[Any]) -> int:
    """A weight is rounded a few times; then the terms of a sample, of a pixel's gradient (samples),
    and of a place's, which is a slope for each channel, and a step of it many pixels."""
    g = plan.geometry
    of_place = (g.c + 40) * max(g.h, g.w)
    return int(max(40 + g.oh * g.ow * (16 if g.mode == 2 else 4), of_place))


def cuda_roundings(plan: Plan[Any]) -> int:
    """Places have the dtype of x there."""
    g = plan.geometry
    return roundings(plan) + 32 * (max(g.h, g.w) + 30) * max(g.c, g.oh * g.ow)
