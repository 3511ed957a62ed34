"""Boxes from anchors and codes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numseg import checks
from numseg.errors import ArgumentError
from numseg.operator import Plan, Spec, operator
from numseg.ops.corners import finite, quadruples, upright
from numseg.ops.decode_boxes.geometry import Geometry
from numseg.ops.encode_boxes import four
from numseg.typing import Array, ArrayLike

CLIP = math.log(1000 / 16)
"""The largest dw and dh in torchvision and detectron2: a factor of 62.5."""


@operator("codes anchors", saves="codes anchors", examines="anchors")
def decode_boxes(
    codes: ArrayLike,
    anchors: ArrayLike,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    bbox_xform_clip: float | None = CLIP,
    offset: int = 0,
    inverse: bool = True,
) -> Plan[Array]:
    """Boxes from anchors and codes: the inverse of :data:`~numseg.encode_boxes`.

    With the width ``wa = x2 - x1 + offset`` of an anchor and its center ``xa = x1 + wa / 2``,
    columns and rows alike::

        x = dx / weights[0] * wa + xa          w = exp(min(dw / weights[2], bbox_xform_clip)) * wa

    and the box goes from ``x - w / 2`` to ``x + w / 2 - offset``.

    Parameters
    ----------
    codes : array, (..., 4) or (..., C, 4), float32 or float64
        dx, dy, dw, dh; of each anchor one, or C, as for C classes.
    anchors : array, (..., 4), dtype of codes
        Corners x1, y1, x2, y2.
    weights : four numbers
        As in :data:`~numseg.encode_boxes`.
    bbox_xform_clip : float, optional
        The largest dw and dh, so that no side overflows: log(1000 / 16) in torchvision and
        detectron2. None: none, as in Caffe's Faster R-CNN.
    offset : {0, 1}
        As in :data:`~numseg.encode_boxes`.
    inverse : bool
        False, with offset 1: do not subtract it from x2 and y2, which then are one too large, as
        in Caffe's Faster R-CNN.

    Returns
    -------
    array, the shape of codes, dtype of codes
        Corners x1, y1, x2, y2.

    Raises
    ------
    ArgumentError
        For a wrong dtype or shape, a weight of 0, and an anchor that is inverted or not finite.

    Notes
    -----
    Gradient: that of the formula, for codes and anchors; the second is a sum over the C codes of an
    anchor. There is a kink where dw or dh is clipped: the gradient is 0 beyond it, and goes through
    at it, as in PyTorch.

    Source: Girshick et al. 2014 (R-CNN); torchvision 0.28, ``models.detection._utils.BoxCoder``.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> anchor = np.array([0.0, 0, 10, 20])
    >>> ns.decode_boxes(np.array([0.5, 0.25, 0, 0]), anchor)
    array([ 5.,  5., 15., 25.])
    """
    dtype = checks.floats(codes=codes, anchors=anchors)
    quadruples("codes", codes)
    quadruples("anchors", anchors)
    shape, leading = tuple(codes.shape), tuple(anchors.shape[:-1])
    several = len(shape) == len(leading) + 2
    if shape[:-1] != leading and not (several and shape[:-2] == leading):
        raise ArgumentError(
            f"codes has shape {shape}, anchors {(*leading, 4)}: expected {(*leading, 4)} or "
            f"{_listed(leading)}C, 4)"
        )
    most = math.inf
    if bbox_xform_clip is not None:
        most = checks.real("bbox_xform_clip", bbox_xform_clip)
    start, flag = float(checks.integer("offset", offset, 0, 1)), checks.flag("inverse", inverse)
    count, last = shape[-2] if several else 1, start if flag else 0.0
    geometry = Geometry(math.prod(leading), count, *four(weights), most, start, last)
    spec = Spec(shape, dtype)
    return Plan(outputs=(spec,), geometry=geometry, flops=10 * spec.size, reach=None)


def check(codes: Array, anchors: Array, g: Geometry) -> None:
    """Anchors are boxes."""
    finite("anchors", anchors)
    upright("anchors", anchors)


def _listed(sizes: tuple[int, ...]) -> str:
    """How a tuple that goes on begins."""
    return "(" + "".join(f"{size}, " for size in sizes)
