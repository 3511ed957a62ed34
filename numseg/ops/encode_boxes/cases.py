"""Inputs for encode_boxes: boxes with sides, and the refusals of those without."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.generalized_box_iou_loss.cases import boxes
from numseg.testing.cases import Case, Invalid, refused, shapes
from numseg.typing import Array

EXACT = False  # a shift is a quotient, a scale a logarithm

WEIGHTS = [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0), (2.0, 1.0, -0.5, 1.5)]


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape, tied = (*draw(shapes(min_axes=0, max_axes=2)), 4), draw(st.booleans())
    params = {"weights": draw(st.sampled_from(WEIGHTS)), "offset": draw(st.sampled_from([0, 1]))}
    return Case({"boxes": boxes(shape, tied), "anchors": boxes(shape, tied)}, params)


_boxes = np.array([[0, 0, 1, 2], [1, 1, 3, 2]], np.float32)


def changed(place: tuple[int, int], value: float) -> Array:
    """Two boxes, of which a number is another one."""
    array = _boxes.copy()
    array[place] = value
    return array


good = Case({"boxes": _boxes, "anchors": _boxes})


def refusals(good: Case) -> list[Invalid]:
    """Those of the weights and the offset."""
    bad = refused(good)
    return [
        bad("weights must be four numbers, got (1, 2)", weights=(1, 2)),
        bad("weights must be four numbers, got 1", weights=1),
        bad("weights must not be 0, got (1, 2, 0, 1)", weights=(1, 2, 0, 1)),
        bad("weights[3] must be a real number, got 'a'", weights=(1, 1, 1, "a")),
        bad("offset must be at most 1, got 2", offset=2),
        bad("offset must be an integer, got 0.5", offset=0.5),
    ]


_bad = refused(good)

invalid = [
    *refusals(good),
    _bad("boxes has dtype int32, expected float32 or float64", boxes=_boxes.astype(np.int32)),
    _bad("anchors has dtype float64, but boxes has float32", anchors=_boxes.astype(np.float64)),
    _bad("boxes has shape (2, 3), expected (..., 4)", boxes=_boxes[:, :3]),
    _bad("anchors has shape (1, 4), expected (2, 4) (the shape of boxes)", anchors=_boxes[:1]),
    _bad("boxes[1, 2] is nan, expected a finite number", boxes=changed((1, 2), np.nan)),
    _bad("anchors[0, 3] is inf, expected a finite number", anchors=changed((0, 3), np.inf)),
    _bad("boxes[1] has x1 1.0 and x2 1.0, expected x1 < x2", boxes=changed((1, 2), 1)),
    _bad("anchors[0] has y1 0.0 and y2 -1.0, expected y1 <= y2",
         anchors=changed((0, 3), -1), offset=1),
]  # fmt: skip


def roundings(plan: Plan[Any]) -> int:
    """In float64: a few for each of the factors."""
    return 1 if plan.outputs[0].dtype == np.float32 else 16


def cuda_roundings(plan: Plan[Any]) -> int:
    """All is of float32 there."""
    return 64
