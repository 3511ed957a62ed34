"""Inputs for layer_norm: one axis and several, rows longer than a block, single numbers, none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.ops.group_norm.cases import cuda_roundings, roundings
from numseg.testing.cases import Case, refused, shapes, wrong_arrays

EXACT = False
__all__ = ["EXACT", "cuda_roundings", "invalid", "roundings", "valid"]


@st.composite
def valid(draw: st.DrawFn) -> Case:
    last = draw(shapes(min_axes=1, max_axes=2) | st.just((130,)))
    before = draw(shapes(min_axes=0, max_axes=2, max_size=4 if max(last) < 130 else 2))
    arrays = {
        "x": (*before, *last),
        "weight": draw(st.sampled_from([last, None])),
        "bias": draw(st.sampled_from([last, None])),
    }
    # of two values nothing is left but what eps lets through: differences see only roundings
    eps = 0.5 if math.prod(last) <= 2 else draw(st.sampled_from([1e-5, 0.5]))
    one = len(last) == 1 and draw(st.booleans())
    shape: Any = last[0] if one else last
    return Case(arrays, {"normalized_shape": shape, "eps": eps})


_x, _w = np.zeros((2, 3, 4), np.float32), np.ones((3, 4), np.float32)


_good = Case({"x": _x, "weight": _w, "bias": None}, {"normalized_shape": (3, 4)})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad(
        "normalized_shape is (4, 3), expected the sizes of the last axes of x: (2, 3, 4)",
        normalized_shape=(4, 3),
    ),
    _bad("normalized_shape is (3,), expected the sizes of the last axes", normalized_shape=3),
    _bad("normalized_shape is (), expected the sizes of the last axes", normalized_shape=()),
    _bad("normalized_shape must be an integer, got 4.0", normalized_shape=4.0),
    _bad("normalized_shape[1] must be an integer, got None", normalized_shape=(3, None)),
    _bad("weight has shape (4,), expected (3, 4) (normalized_shape)", weight=_w[0]),
    _bad("bias has shape (12,), expected (3, 4)", bias=_w.reshape(-1)),
    _bad("eps must lie in [0.0, inf], got -1.0", eps=-1),
]
