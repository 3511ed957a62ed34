"""Inputs for decode_boxes: a code for each anchor or several, clipped ones among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.operator import Plan
from numseg.ops.decode_boxes import CLIP
from numseg.ops.encode_boxes.cases import WEIGHTS, changed, refusals
from numseg.ops.generalized_box_iou_loss.cases import boxes
from numseg.testing.cases import Case, refused, shapes

EXACT = False


@st.composite
def valid(draw: st.DrawFn) -> Case:
    shape, tied = draw(shapes(min_axes=0, max_axes=2)), draw(st.booleans())
    each = draw(st.sampled_from([(), (1,), (3,)]))
    params = {
        "weights": draw(st.sampled_from(WEIGHTS)),
        "bbox_xform_clip": draw(st.sampled_from([CLIP, None, 0.0625])),
        "offset": draw(st.sampled_from([0, 1])),
        "inverse": draw(st.booleans()),
    }
    return Case({"codes": (*shape, *each, 4), "anchors": boxes((*shape, 4), tied)}, params)


_codes = np.zeros((2, 4), np.float32)
_boxes = np.array([[0, 0, 1, 2], [1, 1, 3, 2]], np.float32)

_good = Case({"codes": _codes, "anchors": _boxes})
_bad = refused(_good)


invalid = [
    *refusals(_good),
    _bad("codes has dtype int32, expected float32 or float64", codes=_codes.astype(np.int32)),
    _bad("anchors has dtype float64, but codes has float32", anchors=_boxes.astype(np.float64)),
    _bad("codes has shape (2, 3), expected (..., 4)", codes=_codes[:, :3]),
    _bad("anchors has shape (2, 3), expected (..., 4)", anchors=_boxes[:, :3]),
    _bad("codes has shape (1, 4), anchors (2, 4): expected (2, 4) or (2, C, 4)", codes=_codes[:1]),
    _bad("codes has shape (3, 2, 4), anchors (2, 4)", codes=np.zeros((3, 2, 4), np.float32)),
    _bad("bbox_xform_clip must lie in [-inf, inf], got inf", bbox_xform_clip=np.inf),
    _bad("inverse must be True or False, got 1", inverse=1),
    _bad("anchors[1, 2] is nan, expected a finite number", anchors=changed((1, 2), np.nan)),
    _bad("anchors[1] has x1 1.0 and x2 0.0, expected x1 <= x2", anchors=changed((1, 2), 0)),
]


def roundings(plan: Plan[Any]) -> int:
    """In float64 a few for each factor: a code without its weight, its exponential, a side."""
    return 1 if plan.outputs[0].dtype == np.float32 else 32


def cuda_roundings(plan: Plan[Any]) -> int:
    """All is of float32 there."""
    return 64
