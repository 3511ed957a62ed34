"""Inputs for prelu."""

import numpy as np
from hypothesis import strategies as st

from numseg.testing.broadcasting import terms
from numseg.testing.cases import Case, refused, shapes, wrong_arrays


@st.composite
def valid(draw: st.DrawFn) -> Case:
    x = draw(shapes(min_axes=0, max_axes=5, max_size=3))
    per_channel = [(x[1],)] if len(x) > 1 else []
    return Case({"x": x, "weight": draw(st.sampled_from([*per_channel, *per_channel, (1,), ()]))})


_good = Case({"x": (2, 3, 4), "weight": (3,)})
_bad = refused(_good)

invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("weight has shape (2,), expected (1,) or (3,): x has shape (2, 3, 4)", weight=(2,)),
    _bad("weight has shape (3, 1), expected (1,) or (3,)", weight=(3, 1)),
    _bad("weight has shape (3,), expected (1,) or (1,): x has shape (3,)", x=(3,)),
    _bad("x has dtype int64, expected float32 or float64", x=np.zeros((2, 3), np.int64)),
]
EXACT = True
roundings = terms
