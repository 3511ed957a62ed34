"""Boxes as differences from others, and the arguments that both directions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numseg import checks
from numseg.errors import ArgumentError, shown
from numseg.operator import Plan, Spec, operator
from numseg.ops.corners import finite, quadruples, upright
from numseg.ops.encode_boxes.geometry import Geometry
from numseg.typing import Array, ArrayLike


@operator("boxes anchors", saves="boxes anchors", examines="boxes anchors")
def encode_boxes(
    boxes: ArrayLike,
    anchors: ArrayLike,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    offset: int = 0,
) -> Plan[Array]:
    """Boxes as seen from anchors: Faster R-CNN's (dx, dy, dw, dh).

    With the width ``w = x2 - x1 + offset`` and the center ``x = x1 + w / 2`` of a box, and wa and
    xa of its anchor, columns and rows alike::

        dx = weights[0] * (x - xa) / wa        dw = weights[2] * log(w / wa)

    Parameters
    ----------
    boxes, anchors : array, (..., 4), both float32 or both float64
        Corners x1, y1, x2, y2, one anchor for one box.
    weights : four numbers
        For dx, dy, dw, dh; not 0.
    offset : {0, 1}
        1: sides are ``x2 - x1 + 1``, as in Caffe's Faster R-CNN.

    Returns
    -------
    array, (..., 4), dtype of the boxes
        dx, dy, dw, dh.

    Raises
    ------
    ArgumentError
        For a wrong dtype, shapes that differ or do not end in 4, a weight of 0, a coordinate that
        is not finite, and a box or an anchor without area (with offset 1: an inverted one).

    Notes
    -----
    Gradient: that of the formula, for boxes and anchors. No kinks.

    Source: Girshick et al. 2014 (R-CNN); torchvision 0.28, ``models.detection._utils.BoxCoder``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> anchor = np.array([0.0, 0, 10, 20])
    >>> ns.encode_boxes(np.array([5.0, 5, 15, 25]), anchor)  # as large, 5 to the right and down
    array([0.5 , 0.25, 0.  , 0.  ])
    """
    dtype = checks.floats(boxes=boxes, anchors=anchors)
    quadruples("boxes", boxes)
    checks.shape("anchors", anchors, boxes.shape, "the shape of boxes")
    spec = Spec(tuple(boxes.shape), dtype)
    size = spec.size // 4
    geometry = Geometry(size, *four(weights), float(checks.integer("offset", offset, 0, 1)))
    return Plan(outputs=(spec,), geometry=geometry, flops=40 * size, reach=None)


def check(boxes: Array, anchors: Array, g: Geometry) -> None:
    """Every box and every anchor has sides to take a logarithm of."""
    for name, array in (("boxes", boxes), ("anchors", anchors)):
        finite(name, array)
        upright(name, array, positive=g.offset == 0)


def four(weights: Any) -> tuple[float, float, float, float]:
    """The weights of a code."""
    if not checks.is_sequence(weights) or len(weights) != 4:
        raise ArgumentError(f"weights must be four numbers, got {shown(weights)}")
    x, y, w, h = (checks.real(f"weights[{i}]", v) for i, v in enumerate(weights))
    if 0 in (x, y, w, h):
        raise ArgumentError(f"weights must not be 0, got {shown(weights)}")
    return x, y, w, h
