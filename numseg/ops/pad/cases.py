"""Inputs for pad: every side by itself, cropped and padded, images cropped to nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.pad.geometry import MODES
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = draw(st.tuples(st.integers(0, 2), st.integers(0, 2), *[st.integers(0, 4)] * 2))
    sides = []
    for size in shape[2:]:
        before = draw(st.integers(-size - 1, 3))
        sides += [before, draw(st.integers(-size - before, 3))]
    value = draw(st.sampled_from([0.0, -3.0, np.inf]))
    if draw(st.booleans()):
        return Case({"x": shape}, {"padding": sides, "value": value})
    pixels = [max(size, 1) for size in shape[2:]]
    sides = draw(st.lists(st.integers(0, 7), min_size=4, max_size=4))  # to go round more than once
    mode = draw(st.sampled_from(MODES))
    return Case({"x": (*shape[:2], *pixels)}, {"padding": sides, "mode": mode})


_x = np.zeros((1, 1, 3, 4), np.float32)


_good = Case({"x": _x}, {"padding": 1})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("padding must be an integer, (rows, columns)", padding=(1, 2, 3)),
    _bad("padding must be an integer, got 'same'", padding="same"),
    _bad("padding[1] must be an integer, got 0.5", padding=(1, 0.5)),
    _bad("top -2, bottom -2, left 0, right 0) crops more than x has: 3 rows", padding=(-2, 0)),
    _bad("crops more than x has: 3 rows, 4 columns", padding=(0, 0, 0, -5)),
    _bad("mode must be one of 'constant', 'reflect',", mode="edge"),
    _bad("mode 'circular' needs sides of at least 0", mode="circular", padding=(1, -1)),
    _bad("right 1) of 3 x 0 pixels", mode="reflect", x=_x[..., :0]),
    _bad("value must be a real number, got 'reflect'", value="reflect"),
]


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    if not g.mode:
        return 0
    return int(g.oh + g.ow)  # a pixel's copies, at most
