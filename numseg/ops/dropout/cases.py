"""Inputs for dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, shapes, wrong_arrays

EXACT = True


@st.composite
def valid(draw: st.DrawFn) -> Case:
    training = draw(st.booleans())
    params = {
        "p": draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])),
        "seed": draw(st.integers(0, 2**63 - 1)) if training else None,
        "training": training,
        "inverted": draw(st.booleans()),
    }
    x = draw(shapes(min_axes=0, max_axes=4))
    units = ["number", "image", "channel"][: 1 + len(x)]
    return Case({"x": x}, {**params, "unit": draw(st.sampled_from(units))})


_x = np.zeros((2, 3), np.float32)


_good = Case({"x": _x}, {"seed": 0})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("p must lie in [0.0, 1.0], got 1.5", p=1.5),
    _bad("p must lie in [0.0, 1.0], got -0.1", p=-0.1),
    _bad("p must lie in [0.0, 1.0], got nan", p=float("nan")),
    _bad("seed is not given, but training=True", seed=None),
    _bad("seed must be at least 0, got -1", seed=-1),
    _bad("seed must be at most 9223372036854775807, got 9223372036854775808", seed=2**63),
    _bad("seed must be an integer, got 0.5", seed=0.5),
    _bad("seed must be an integer, got 'one'", seed="one", training=False),
    _bad("training must be True or False, got 0", training=0),
    _bad("inverted must be True or False, got 1", inverted=1),
    _bad("unit must be one of 'number', 'channel', 'image', got 'plane'", unit="plane"),
    _bad("unit='channel' wants at least 2 axes, but x has shape (3,)", x=_x[0], unit="channel"),
]


def roundings(plan: Plan[Any]) -> int:
    return 1  # the product of x and the scale
