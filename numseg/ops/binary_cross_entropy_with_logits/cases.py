"""Inputs for binary_cross_entropy_with_logits: hard and soft targets, weights, chosen classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, refused, shapes, wrong_arrays
from numseg.typing import Array, Shape

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape: Shape = draw(shapes(min_axes=0, max_axes=4, max_size=3))
    x, labels = shape, None
    if len(shape) > 0 and draw(st.booleans()):
        c = draw(st.integers(1, 3))
        x, kind = (shape[0], c, *shape[1:]), draw(st.sampled_from([np.uint8, np.int32, np.int64]))
        labels = lambda rng, dtype: rng.integers(0, c, shape[0]).astype(kind)  # noqa: E731
    arrays = {
        "x": x,
        "target": _uniform(shape, 0, 1, hard=draw(st.booleans())),
        "weight": draw(_factors(shape)),
        "pos_weight": draw(_factors(shape)),
        "labels": labels,
    }
    reduction = draw(st.sampled_from(["mean", "sum", "none", "batch_size"]))
    return Case(arrays, {"reduction": reduction, "empty": draw(st.sampled_from(["zero", "nan"]))})


@st.composite
def _factors(draw: st.DrawFn, shape: Shape) -> Any:
    """None, or an array of any shape that broadcasts."""
    if draw(st.integers(0, 1)):
        return None
    tail = shape[draw(st.integers(0, len(shape))) :]
    return _uniform(tuple(draw(st.sampled_from([1, size])) for size in tail), 0.5, 2)


def _uniform(shape: Shape, low: float, high: float, hard: bool = False) -> Any:
    def make(rng: np.random.Generator, dtype: Any) -> Array:
        values = rng.uniform(low, high, shape)
        return np.asarray(values.round() if hard else values, dtype)

    return make


_x = np.zeros((2, 3), np.float32)


_good = Case({"x": _x, "target": _x, "weight": None, "pos_weight": None, "labels": None})
_bad = refused(_good)


invalid = [
    *wrong_arrays(_good, rank=False),
    _bad("target has shape (3,), expected (2, 3) (the shape of x)", target=_x[0]),
    _bad("target has dtype int64, expected float32 or float64", target=_x.astype(int)),
    _bad("pos_weight has shape (2,), which does not broadcast to (2, 3)", pos_weight=_x[:, 0]),
    _bad("weight has shape (1, 2, 3), which does not broadcast to (2, 3)", weight=_x[None]),
    _bad("target has shape (2, 3), expected (2,)", labels=np.zeros(2, int)),
    _bad("x has shape (3,), expected at least 2 axes (n, c, ...)", x=_x[0],
         labels=np.zeros(2, int)),
    _bad("labels has shape (3,), expected (2,)", target=_x[:, 0], labels=np.zeros(3, int)),
    _bad("labels has dtype float32", target=_x[:, 0], labels=_x[:, 0]),
    _bad("labels has the label 3 in 1 place, expected labels in [0, 3)", target=_x[:, 0],
         labels=np.array([0, 3])),
    _bad("labels has the label -1 in 1 place, expected labels in [0, 3)", target=_x[:, 0],
         labels=np.array([-1, 0])),
    _bad("reduction must be one of 'mean', 'sum', 'none', 'batch_size', got None", reduction=None),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """Float32: of the result alone. Float64: less than 16 for a term, of two weights of at most 2
    and a ``grad_y`` of at most 4, and one for each number of the sum."""
    return 1 if plan.outputs[0].dtype == np.float32 else 256 + int(plan.geometry.size)


def cuda_roundings(plan: Plan[Any]) -> int:
    """The terms of float32 are of float32 there: four for each, and as many for its factors; those
    of a gradient are differences of numbers of at most 16."""
    return 64 if plan.outputs[0].dtype == np.float32 else roundings(plan)
