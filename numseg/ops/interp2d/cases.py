"""Inputs for interp2d: every rule for the size, one pixel, and crops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = False
SCALE = "result"  # a weight is a difference of coordinates: its error does not shrink with it


@st.composite
def valid(draw: st.DrawFn) -> Case:
    pads = {"pad_beg": -draw(st.integers(0, 2)), "pad_end": -draw(st.integers(0, 2))}
    cut = -sum(pads.values())
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    factor = st.integers(1, 4)
    params: dict[str, Any] = draw(
        st.fixed_dictionaries({"size": st.tuples(factor, factor)})
        | st.fixed_dictionaries({"zoom_factor": factor}, optional={"shrink_factor": factor})
        | st.fixed_dictionaries({"shrink_factor": factor})
    )
    planes = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    return Case({"x": (*planes, size[0] + cut, size[1] + cut)}, params | pads)


_x = np.zeros((1, 1, 3, 4), np.float32)


_bad = refused(Case({"x": _x}))


invalid = [
    *wrong_arrays(Case({"x": _x}, {"size": 2})),
    _bad("give size, or zoom_factor and shrink_factor: got None, None and None"),
    _bad("give size, or zoom_factor and shrink_factor: got 2, None and 2", size=2, shrink_factor=2),
    _bad("zoom_factor must be at least 1, got 0", zoom_factor=0),
    _bad("shrink_factor must be an integer, got 1.5", shrink_factor=1.5),
    _bad("pad_beg must be at most 0, got 1", zoom_factor=2, pad_beg=1),
    _bad("pad_beg -1 and pad_end -2 leave nothing of 3 x 4", size=1, pad_beg=-1, pad_end=-2),
    _bad("size must be at least 1, got 0", size=0),
]


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    # a weight, a product and a sum for each axis; then as many sums as output pixels read a pixel
    return 6 + 2 * math.ceil(g.oh / g.eh) + 2 * math.ceil(g.ow / g.ew)
