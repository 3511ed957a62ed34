"""Inputs for sum: every choice of axes, from both ends, kept and not, rows of several blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, refused, shapes, wrong_arrays

EXACT = True


@st.composite
def over_axes(draw: st.DrawFn, least: int = 0) -> Case:
    """Sizes of at least ``least``."""
    wide = st.sampled_from([(3, 600), (600, 3), (2, 20, 3)])
    shape = draw(shapes(min_axes=0, max_axes=4, max_size=3) | wide)
    shape = tuple(max(size, least) for size in shape)
    dims = draw(st.permutations(range(len(shape))))[: draw(st.integers(1, 4))]
    if draw(st.booleans()):
        dims = [d - len(shape) for d in dims]
    several = draw(st.sampled_from([True, False, None])) if dims else None
    dim = None if several is None else tuple(dims) if several else dims[0]
    return Case({"x": shape}, {"dim": dim, "keepdim": draw(st.booleans())})


valid = over_axes()


def refusals() -> list[Invalid]:
    """Those of all operators over axes."""
    good = Case({"x": np.zeros((2, 3, 4), np.float32)}, {"dim": 1})
    bad = refused(good)
    return [
        *wrong_arrays(good, rank=False),
        bad("dim is 3, but x has 3 axes: (2, 3, 4)", dim=3),
        bad("dim[1] is -4, but x has 3 axes: (2, 3, 4)", dim=(0, -4)),
        bad("dim is (1, 1), expected each axis once", dim=(1, -2)),
        bad("dim has no axis, expected one at least (None means all)", dim=()),
        bad("dim must be an integer, got 1.0", dim=1.0),
        bad("keepdim must be True or False, got 1", keepdim=1),
    ]


invalid = refusals()


def roundings(plan: Plan[Any]) -> int:
    """A float32 result is summed up in float64 and rounded once."""
    return 1 if plan.outputs[0].dtype == np.float32 else cuda_roundings(plan)


def cuda_roundings(plan: Plan[Any]) -> int:
    return max(plan.inputs[0].size // max(plan.outputs[0].size, 1), 1) + 2
