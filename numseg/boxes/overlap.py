"""How much boxes overlap."""

from __future__ import annotations

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, legacy, named
from numseg.boxes.shapes import corners_of, sides
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
    one, two = floats(boxes1=boxes1, boxes2=boxes2)
    one = corners_of("boxes1", one, fmt, corners)
    two = corners_of("boxes2", two, fmt, corners)
    checks.choice("zero_area", zero_area, ("nan", "zero"))
    return overlaps(one, two, legacy(offset), zero_area == "zero")


def overlaps(one: Array, two: Array, offset: int, zero: bool) -> Array:
    """The definition; one rounding an operation, in this order."""
    shared = np.empty((len(one), len(two), 4), one.dtype)
    np.maximum(one[:, None, :2], two[:, :2], out=shared[..., :2])
    np.minimum(one[:, None, 2:], two[:, 2:], out=shared[..., 2:])
    with np.errstate(all="ignore"):  # areas of huge boxes are infinite, and overlaps NaN then
        width, height = (np.maximum(side, 0) for side in sides(shared, offset))
        inter = width * height
        areas = [np.multiply(*sides(boxes, offset)) for boxes in (one, two)]
        union = areas[0][:, None] + areas[1] - inter
        return np.where((union == 0) & zero, inter, inter / union)
