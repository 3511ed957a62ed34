"""Inputs for cross_entropy: any rank and integer dtype, weights, ignored labels, empty axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, wrong_arrays
from numseg.typing import Array, Shape

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape = tuple(draw(st.lists(st.integers(0, 3), min_size=2, max_size=4)))
    n, c, *rest = shape
    kind = draw(st.sampled_from([np.uint8, np.int16, np.int32, np.int64]))
    ignored = draw(st.sampled_from([None, 0, 100]))
    if c == 0 and n * math.prod(rest) > 0:
        ignored = 100  # there is no other label
    arrays = {
        "x": shape,
        "target": lambda rng, dtype: _labels((n, *rest), c, kind, ignored, rng),
        "weight": draw(st.sampled_from([None, (c,)])) and _positive((c,)),
    }
    reductions = ["mean", "sum", "none", "valid", "full", "batch_size"]
    params = {
        "ignore_index": ignored,
        "reduction": draw(st.sampled_from(reductions)),
        "empty": draw(st.sampled_from(["zero", "nan"])),
    }
    return Case(arrays, params | draw(st.sampled_from(CHANGES)))


CHANGES: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.1},
    {"label_smoothing": 1},
    {"gamma": 2},
    {"gamma": 0.5},
    {"min_probability": float(np.finfo(np.float32).tiny)},
]


def _labels(
    shape: Shape, c: int, dtype: Any, ignored: int | None, rng: np.random.Generator
) -> Array:
    labels = rng.integers(0, max(c, 1), shape)
    if ignored is not None:
        labels[rng.random(shape) < (0.3 if c else 2.0)] = ignored
    return labels.astype(dtype)


def _positive(shape: Shape) -> Any:
    return lambda rng, dtype: rng.uniform(0.5, 2.0, shape).astype(dtype)


_x, _t = np.zeros((2, 3, 2, 2), np.float32), np.zeros((2, 2, 2), np.uint8)


_good = Case({"x": _x, "target": _t, "weight": None})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("x has shape (2,), expected at least 2 axes (n, c, ...)", x=_x[:, 0, 0, 0]),
    _bad("target has dtype float32, expected an integer dtype", target=_t.astype(np.float32)),
    _bad("target has shape (2, 1, 2, 2), expected (2, 2, 2)", target=_t[:, None]),
    _bad("weight has shape (2,), expected (3,)", weight=np.ones(2, np.float32)),
    _bad("target has the label 3 in 8 places, expected labels in [0, 3)", target=_t + 3),
    _bad("target has the label -1 in 8 places", target=_t.astype(np.int8) - 1),
    _bad("the label 255 in 8 places", target=_t + 255, ignore_index=254),
    _bad("ignore_index must be an integer, got 1.5", ignore_index=1.5),
    _bad("ignore_index must be at most 9223372036854775807", ignore_index=2**63),
    _bad("reduction must be one of 'mean', 'sum', 'none', 'valid', 'full', 'batch_size', got 'avg'",
         reduction="avg"),
    _bad("empty must be one of 'zero', 'nan', got None", empty=None),
    _bad("label_smoothing must lie in [0, 1], got 1.5", label_smoothing=1.5),
    _bad("gamma must lie in [0, inf], got -1.0", gamma=-1),
    _bad("min_probability must lie in [0, 1], got -1.0", min_probability=-1),
    _bad("exclude each other, got 0.1, 2.0 and 0.0", label_smoothing=0.1, gamma=2),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """Float32: half for ``x - max``, one for exp; the rest is float64 until the result is rounded.
    Float64: a pixel's loss has one for each of the c terms of its sum and less than four for
    exp, log, difference and weight, of numbers of at most 4; the sum of losses, all positive, has
    one for each pixel."""
    g = plan.geometry
    more = 16 if g.smoothing or g.gamma else 0  # a gradient is a difference of larger numbers
    return more + 3 if plan.outputs[0].dtype == np.float32 else 4 * (g.c + 4) + g.n * g.size


def cuda_roundings(plan: Plan[Any]) -> int:
    """The terms of float32 are of float32 there: less than 8 for a loss, and as many for the
    factors of a gradient, of numbers of at most 8."""
    return 64 if plan.outputs[0].dtype == np.float32 else roundings(plan)
