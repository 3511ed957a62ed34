"""Inputs for amax: every choice of axes, ties among integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.operator import Plan
from numseg.ops.sum.cases import over_axes, refusals
from numseg.testing.cases import Case, Invalid

EXACT = "value"  # a gradient is shared among the largest


def _some(case: Case) -> bool:
    """Numbers along the axes that are reduced."""
    shape, dim = case.arrays["x"], case.params["dim"]
    dims = range(len(shape)) if dim is None else dim if isinstance(dim, tuple) else (dim,)
    return all(shape[d] for d in dims)


valid = over_axes(least=1) | over_axes().filter(_some)


invalid = [
    *refusals(),
    Invalid(
        Case({"x": np.zeros((2, 0, 3), np.float32)}, {"dim": 1}),
        "x has no numbers along axis 1: (2, 0, 3)",
    ),
]


def roundings(plan: Plan[Any]) -> int:
    return 1
