"""Inputs for center_crop: odd and even differences, the whole image, nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    size = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    cut = draw(st.tuples(st.integers(0, 5), st.integers(0, 5)))
    planes = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    params = {"rounding": draw(st.sampled_from(["floor", "half_even"])), "pad": draw(st.booleans())}
    small, large = size, (size[0] + cut[0], size[1] + cut[1])
    if params["pad"] and draw(st.booleans()):  # rows are padded, columns are cut
        small, large = (large[0], small[1]), (small[0], large[1])
    return Case({"x": (*planes, *large)}, {"output_size": small, **params})


_x = np.zeros((1, 1, 3, 4), np.float32)


_good = Case({"x": _x}, {"output_size": 2})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good),
    _bad("output_size is 4 x 4, but x has 3 rows and 4 columns", output_size=4),
    _bad("output_size is 1 x 5, but x has 3 rows and 4 columns", output_size=(1, 5)),
    _bad("rounding must be one of 'floor', 'half_even', got 'ceil'", rounding="ceil"),
    _bad("pad must be True or False, got 1", output_size=4, pad=1),
    _bad("output_size must be at least 0, got -1", output_size=-1),
    _bad("output_size must be one integer or two, got (1, 2, 3)", output_size=(1, 2, 3)),
    _bad("output_size must be an integer, got 1.5", output_size=1.5),
]


def roundings(plan: Plan[Any]) -> int:
    return 0
