"""Inputs for upsample_nearest2d: up and down, by size and by every kind of factor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.geometry import COORDINATES
from numseg.operator import Plan
from numseg.ops.upsample_nearest2d.geometry import ROUNDINGS
from numseg.testing.cases import Case, refused, wrong_arrays

EXACT = True


@st.composite
def resizing(draw: st.DrawFn) -> Case:
    """x, and a size or a factor; also for the other upsamplings."""
    shape = draw(st.tuples(st.integers(0, 2), st.integers(0, 2), *[st.integers(0, 5)] * 2))
    factors = [
        draw(st.sampled_from([1.0, 1.1, 1.5, 2.0, 2.3, 3.0]) | st.floats(max(0.3, 1 / (i or 4)), 4))
        for i in shape[2:]
    ]
    if draw(st.booleans()) and 0 not in shape[2:]:
        size = [max(math.floor(i * f), 1) for i, f in zip(shape[2:], factors, strict=True)]
        return Case({"x": shape}, {"size": size})
    for a, i in enumerate(shape[2:]):
        if i > 0 and math.floor(i * factors[a]) == 0:
            factors[a] = 1.0  # 1 / i, rounded down
    recompute = draw(st.booleans())
    return Case({"x": shape}, {"scale_factor": factors, "recompute_scale_factor": recompute})


_COORDINATES = ("nearest", "nearest-exact", *COORDINATES)

valid = st.builds(
    lambda case, coordinates, rounding: Case(
        case.arrays, case.params | {"coordinates": coordinates, "rounding": rounding}
    ),
    resizing(),
    st.sampled_from(_COORDINATES),
    st.sampled_from(ROUNDINGS),
)

_x = np.zeros((1, 1, 3, 4), np.float32)


_bad = refused(Case({"x": _x}))


invalid_resizing = [
    *wrong_arrays(Case({"x": _x}, {"size": 2})),
    _bad("give size or scale_factor, one of them: got None and None"),
    _bad("give size or scale_factor, one of them: got 2 and 2.0", size=2, scale_factor=2.0),
    _bad("size must be at least 1, got 0", size=0),
    _bad("size must be an integer, got 2.0", size=2.0),
    _bad("scale_factor must be positive and at most 2147483647, got 0.0", scale_factor=0),
    _bad("scale_factor[1] must be positive and at most 2147483647, got -1.0", scale_factor=(1, -1)),
    _bad("scale_factor must be positive and at most 2147483647, got nan", scale_factor=math.nan),
    _bad("scale_factor must be positive and at most 2147483647, got inf", scale_factor=math.inf),
    _bad("scale_factor must be one number or two, got (1, 2, 3)", scale_factor=(1, 2, 3)),
    _bad("scale_factor 0.25 x 0.25 leaves 0 x 1 pixels of 3 x 4", scale_factor=0.25),
    _bad(
        "recompute_scale_factor is True, but size is given: 2", size=2, recompute_scale_factor=True
    ),
    _bad("size is 2 x 2, but x has no pixels: 0 x 4", x=_x[:, :, :0], size=2),
]
invalid = [
    *invalid_resizing,
    _bad("coordinates must be one of 'nearest', 'nearest-exact',", size=2, coordinates=None),
    _bad("rounding must be one of 'floor', 'ceil',", size=2, rounding="round"),
]


def roundings(plan: Plan[Any]) -> int:
    g = plan.geometry
    # a pixel's copies; by a factor that was rounded, those at the border are more
    return math.ceil(g.oh / max(g.h, 1)) + math.ceil(g.ow / max(g.w, 1)) + 4
