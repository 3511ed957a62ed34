"""Inputs for the losses of box overlaps: boxes that overlap, lie within each other or apart.

Half of them lie on a grid, so that coordinates are the same; the others do not. Sides are at least
1/4, as the loss of a smaller box has a larger slope. Boxes that touch are in
tests/ops/test_box_iou_losses.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.testing.cases import Case, Invalid, Maker, refused, shapes
from numseg.typing import Array, Shape

EXACT = False


def pairs(**choices: list[Any]) -> st.SearchStrategy[Case]:
    """Calls with boxes, and arguments out of these choices."""

    @st.composite
    def valid(draw: st.DrawFn) -> Case:
        shape, tied = draw(shapes(min_axes=0, max_axes=2)), draw(st.booleans())
        given = {name: draw(st.sampled_from(values)) for name, values in choices.items()}
        arrays = {name: boxes((*shape, 4), tied) for name in ("boxes1", "boxes2")}
        params = {
            "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
            "eps": draw(st.sampled_from([1e-7, 0.0, 0.125])),
        }
        return Case(arrays, params | given)

    return valid()


def boxes(shape: Shape, tied: bool) -> Maker:
    """Boxes anywhere, or with low corners at halves and high ones between two, so that several have
    the same and yet none touch: at a corner the slope has a kink, which differences do not see."""

    def make(rng: np.random.Generator, dtype: Any) -> Array:
        corner, side = rng.uniform(0, 2, (2, *shape[:-1], 2))
        found = np.concatenate([corner, corner + 0.25 + side], -1)
        if tied:
            low = np.floor(2 * corner) / 2
            found = np.concatenate([low, low + np.ceil(2 * side) / 2 - 0.25], -1)
        return found.astype(dtype)

    return make


valid = pairs()

_boxes = np.array([[0, 0, 1, 2], [1, 1, 3, 2]], np.float32)

good = Case({"boxes1": _boxes, "boxes2": _boxes})


def refusals(good: Case) -> list[Invalid]:
    """Of every loss of the family."""
    bad = refused(good)
    return [
        bad("boxes1 has dtype int32, expected float32 or float64", boxes1=_boxes.astype(np.int32)),
        bad("boxes2 has dtype float64, but boxes1 has float32", boxes2=_boxes.astype(np.float64)),
        bad("boxes1 has shape (2, 3), expected (..., 4)", boxes1=_boxes[:, :3]),
        bad("boxes1 has shape (), expected (..., 4)", boxes1=np.zeros((), np.float32)),
        bad("boxes2 has shape (4,), expected (2, 4) (the shape of boxes1)", boxes2=_boxes[0]),
        bad("eps must lie in [0, inf], got -1.0", eps=-1),
        bad("eps must lie in [0, inf], got nan", eps=float("nan")),
        bad("reduction must be one of 'mean', 'sum', 'none', got 'avg'", reduction="avg"),
    ]


invalid = refusals(good)


def roundings(plan: Plan[Any]) -> int:
    """In float64 some for each factor of a slope, of numbers of at most 4, and one for each loss of
    the sum."""
    return 1 if plan.outputs[0].dtype == np.float32 else 16 + int(plan.geometry.size)


def cuda_roundings(plan: Plan[Any]) -> int:
    """The terms of float32 are of float32 there."""
    return 32 + int(plan.geometry.size)
