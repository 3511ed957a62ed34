"""Inputs for l2_norm: every eps rule, eps above and below the norm, pixels of zeros, empty axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Maker, refused, wrong_arrays
from numseg.typing import Array, Shape

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    rest = draw(st.lists(st.integers(0, 3), max_size=2))
    c = draw(st.integers(0, 4))
    shape = (draw(st.integers(0, 2)), c, *rest)
    zeros = draw(st.booleans())
    arrays = {
        "x": _some_zeros(shape) if zeros else _far_from_zero(shape),
        "weight": draw(st.sampled_from([(c,), None])),
    }
    # a norm of 0 is a kink unless eps is above it, and "outside" always has it; of one channel, a
    # small eps leaves the sign, and checks of its derivative would see only roundings
    rules, sizes = ["max", "inside", "outside"], [1e-12, 0.25, 1000.0]
    params = {
        "eps": 1000.0 if zeros or c == 1 else draw(st.sampled_from(sizes)),
        "eps_rule": draw(st.sampled_from(rules[:2] if zeros else rules)),
    }
    return Case(arrays, params)


def _far_from_zero(shape: Shape) -> Maker:
    """Norms of at least a half, and none near the eps of 0.25."""

    def make(rng: np.random.Generator, dtype: Any) -> Array:
        sign = rng.choice([-1, 1], shape)
        return (sign * rng.uniform(0.5, 2, shape)).astype(dtype)

    return make


def _some_zeros(shape: Shape) -> Maker:
    def make(rng: np.random.Generator, dtype: Any) -> Array:
        x = rng.uniform(-1, 1, shape).astype(dtype)
        if math.prod(shape):
            x[..., 0] = 0
        return x

    return make


_x, _c = np.zeros((2, 3, 2, 2), np.float32), np.ones(3, np.float32)


_good = Case({"x": _x, "weight": _c})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (2,), expected at least 2 axes (n, c, ...)", x=_x[:, 0, 0, 0]),
    _bad("weight has shape (2,), expected (3,)", weight=_c[:2]),
    _bad("eps must lie in [0.0, inf], got -1.0", eps=-1),
    _bad("eps_rule must be one of 'max', 'inside', 'outside', got 'min'", eps_rule="min"),
]


def roundings(plan: Plan[Any]) -> int:
    """A float32 result is computed in float64 and rounded once. In float64 a norm rounds c times;
    its inverse, of at most 4, enters the gradient three times, and a sum over n pixels."""
    y, g = plan.outputs[0], plan.geometry
    return 1 if y.dtype == np.float32 else 8 * (g.c + 4) + g.n * g.size
