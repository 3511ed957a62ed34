"""How much boxes overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, legacy, named
from numseg.boxes.shapes import corners_of, sides
from numseg.operator import Operator
from numseg.ops.complete_box_iou_loss import complete_box_iou_loss
from numseg.ops.distance_box_iou_loss import distance_box_iou_loss
from numseg.ops.generalized_box_iou_loss import generalized_box_iou_loss
from numseg.typing import Array, ArrayLike


@named
def iou(
    boxes1: ArrayLike,
    boxes2: ArrayLike,
    *,
    fmt: str = "xyxy",
    offset: int = 0,
    zero_area: str = "nan",
    corners: str = "ordered",
) -> Array:
    """Intersection over union of each box of one set with each of another.

    ``inter / (area1 + area2 - inter)``, where ``inter`` is the product of ``max(0, min(x2, x2') -
    max(x1, x1') + offset)`` and the same for y.

    Parameters
    ----------
    boxes1, boxes2 : array, (N, 4) and (M, 4), both float32 or both float64
    fmt : {"xyxy", "xywh", "cxcywh", "yxyx"}
        Form of both; see :func:`convert`.
    offset : {0, 1}
        1: the last pixel belongs to the box, sides are ``x2 - x1 + 1``.
    zero_area : {"nan", "zero"}
        What two boxes without area have: 0 / 0 is NaN in torchvision, 0 in TensorFlow and ONNX.
    corners : {"ordered", "any"}
        "any": two opposite corners, whichever they are, as in TensorFlow and ONNX; an inverted box
        is no error then.

    Returns
    -------
    array, (N, M), dtype of the boxes

    Raises
    ------
    ArgumentError
        For another shape or dtype, a number that is not finite, an inverted box.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [2, 0, 4, 2]])
    >>> ns.boxes.iou(a, b)
    array([[0.33333333, 0.        ]])
    >>> ns.boxes.iou(a, b, offset=1)
    array([[0.5, 0.2]])
    """
    one, two = _two(boxes1, boxes2, fmt, corners)
    checks.choice("zero_area", zero_area, ("nan", "zero"))
    return overlaps(one, two, legacy(offset), zero_area == "zero")


@named
def generalized_iou(boxes1: ArrayLike, boxes2: ArrayLike) -> Array:
    """Generalized IoU of each box of one set with each of another: from -1 to 1.

    ``1 - generalized_box_iou_loss``, pair by pair.

    Parameters
    ----------
    boxes1, boxes2 : array, (N, 4) and (M, 4), both float32 or both float64
        Corners x1, y1, x2, y2.

    Returns
    -------
    array, (N, M), dtype of the boxes
        NaN for two boxes on one line, as in torchvision.

    Raises
    ------
    ArgumentError
        For another shape or dtype, a number that is not finite, an inverted box.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3], [4, 0, 6, 2]])
    >>> ns.boxes.generalized_iou(a, b).round(4)
    array([[-0.0794, -0.3333]])
    """
    return _less_lost(generalized_box_iou_loss, boxes1, boxes2, 0.0)


@named
def distance_iou(boxes1: ArrayLike, boxes2: ArrayLike, *, eps: float = 1e-7) -> Array:
    """Distance IoU of each box of one set with each of another: from -1 to 1.

    ``1 - distance_box_iou_loss``, pair by pair.

    Parameters
    ----------
    boxes1, boxes2 : array, (N, 4) and (M, 4), both float32 or both float64
        Corners x1, y1, x2, y2.
    eps : float
        Added to what is divided by.

    Returns
    -------
    array, (N, M), dtype of the boxes

    Raises
    ------
    ArgumentError
        For another shape or dtype, a number that is not finite, an inverted box, a negative eps.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> a, b = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3], [4, 0, 6, 2]])
    >>> ns.boxes.distance_iou(a, b).round(4)
    array([[ 0.0317, -0.4   ]])
    """
    return _less_lost(distance_box_iou_loss, boxes1, boxes2, eps)


@named
def complete_iou(boxes1: ArrayLike, boxes2: ArrayLike, *, eps: float = 1e-7) -> Array:
    """Complete IoU of each box of one set with each of another: at most 1.

    ``1 - complete_box_iou_loss``, pair by pair.

    Parameters
    ----------
    boxes1, boxes2 : array, (N, 4) and (M, 4), both float32 or both float64
        Corners x1, y1, x2, y2.
    eps : float
        Added to what is divided by.

    Returns
    -------
    array, (N, M), dtype of the boxes

    Raises
    ------
    ArgumentError
        For another shape or dtype, a number that is not finite, an inverted box, a negative eps.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.boxes.complete_iou(np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 0.5]])).round(4)
    array([[0.1636]])
    """
    return _less_lost(complete_box_iou_loss, boxes1, boxes2, eps)


def _less_lost(loss: Operator[..., Any], boxes1: Any, boxes2: Any, eps: Any) -> Array:
    """1 minus the loss of each pair."""
    one, two = _two(boxes1, boxes2, "xyxy", "ordered")
    eps = checks.real("eps", eps, minimum=0)
    shape = len(one), len(two), 4
    pairs = (np.ascontiguousarray(np.broadcast_to(b, shape)) for b in (one[:, None], two))
    return 1 - loss(*pairs, eps=eps)


@named
def iof(
    boxes1: ArrayLike,
    boxes2: ArrayLike,
    *,
    fmt: str = "xyxy",
    offset: int = 0,
    zero_area: str = "nan",
    corners: str = "ordered",
) -> Array:
    """How much of each box of one set lies in each of another: intersection over its own area.

    By this COCO tells a detection that lies in a crowd (``iscrowd`` in pycocotools), and Detectron
    and mmdet the candidates that they ignore there: ``(iof(candidates, crowds) > 0.7).any(1)``.

    Parameters
    ----------
    boxes1, boxes2 : array, (N, 4) and (M, 4), both float32 or both float64
    fmt, offset, corners
        As in :func:`iou`.
    zero_area : {"nan", "zero"}
        What a box of ``boxes1`` without area has.

    Returns
    -------
    array, (N, M), dtype of the boxes
        From 0 to 1.

    Raises
    ------
    ArgumentError
        For another shape or dtype, a number that is not finite, an inverted box.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.boxes.iof(np.array([[0.0, 0, 2, 2], [4, 4, 5, 5]]), np.array([[1.0, 0, 9, 9]]))
    array([[0.5],
           [1. ]])
    """
    one, two = _two(boxes1, boxes2, fmt, corners)
    checks.choice("zero_area", zero_area, ("nan", "zero"))
    return overlaps(one, two, legacy(offset), zero_area == "zero", own=True)


def _two(boxes1: Any, boxes2: Any, fmt: str, corners: str) -> tuple[Array, Array]:
    """Checked boxes of one dtype."""
    one, two = floats(boxes1=boxes1, boxes2=boxes2)
    one = corners_of("boxes1", one, fmt, corners)
    return one, corners_of("boxes2", two, fmt, corners)


def overlaps(one: Array, two: Array, offset: int, zero: bool, own: bool = False) -> Array:
    """The definition, over the union or over the first box's ``own`` area; one rounding an
    operation, in this order."""
    shared = np.empty((len(one), len(two), 4), one.dtype)
    np.maximum(one[:, None, :2], two[:, :2], out=shared[..., :2])
    np.minimum(one[:, None, 2:], two[:, 2:], out=shared[..., 2:])
    with np.errstate(all="ignore"):  # areas of huge boxes are infinite, and overlaps NaN then
        width, height = (np.maximum(side, 0) for side in sides(shared, offset))
        inter = width * height
        areas = [np.multiply(*sides(boxes, offset)) for boxes in (one, two)]
        whole = areas[0][:, None] if own else areas[0][:, None] + areas[1] - inter
        return np.where((whole == 0) & zero, inter, inter / whole)
