"""Single boxes: their forms, sides and areas."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, legacy, named, quadruples
from numseg.ops.corners import upright
from numseg.typing import Array, ArrayLike

FORMATS = ("xyxy", "xywh", "cxcywh", "yxyx")


@named
def convert(boxes: ArrayLike, in_fmt: str, out_fmt: str) -> Array:
    """Boxes in another form.

    Parameters
    ----------
    boxes : array, (..., 4), float32 or float64
    in_fmt, out_fmt : {"xyxy", "xywh", "cxcywh", "yxyx"}
        Two corners; a corner and the size; the center and the size; two corners, rows first, as in
        TensorFlow and ONNX.

    Returns
    -------
    array, (..., 4), dtype of boxes

    Raises
    ------
    ArgumentError
        For another shape or dtype, or a number that is not finite. Negative sizes are arithmetic
        like others.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> ns.boxes.convert(np.array([[1.0, 2, 4, 8]]), "xyxy", "cxcywh")
    array([[2.5, 5. , 3. , 6. ]])
    """
    (array,) = floats(boxes=boxes)
    quadruples("boxes", array)
    checks.choice("in_fmt", in_fmt, FORMATS)
    checks.choice("out_fmt", out_fmt, FORMATS)
    return from_corners(to_corners(array, in_fmt), out_fmt)


def to_corners(boxes: Array, fmt: str) -> Array:
    """Any form as x1, y1, x2, y2."""
    a, b, c, d = np.moveaxis(boxes, -1, 0)
    if fmt == "xywh":
        corners = a, b, a + c, b + d
    elif fmt == "cxcywh":
        half_w, half_h = c * boxes.dtype.type(0.5), d * boxes.dtype.type(0.5)
        corners = a - half_w, b - half_h, a + half_w, b + half_h
    else:
        corners = (a, b, c, d) if fmt == "xyxy" else (b, a, d, c)
    return np.stack(corners, -1)


def from_corners(boxes: Array, fmt: str) -> Array:
    """x1, y1, x2, y2 in any form."""
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    half = boxes.dtype.type(0.5)
    forms = {
        "xyxy": (x1, y1, x2, y2),
        "xywh": (x1, y1, x2 - x1, y2 - y1),
        "cxcywh": ((x1 + x2) * half, (y1 + y2) * half, x2 - x1, y2 - y1),
        "yxyx": (y1, x1, y2, x2),
    }
    return np.stack(forms[fmt], -1)


def corners_of(name: str, boxes: Array, fmt: Any, corners: Any) -> Array:
    """Checked boxes as (K, 4) corners in order."""
    checks.axes(name, boxes, "k 4")
    quadruples(name, boxes)
    found = to_corners(boxes, checks.choice("fmt", fmt, FORMATS))
    if checks.choice("corners", corners, ("ordered", "any")) == "any":
        one, two = found[..., :2], found[..., 2:]
        return np.concatenate([np.minimum(one, two), np.maximum(one, two)], -1)
    upright(name, found)
    return found


def sides(boxes: Array, offset: int) -> tuple[Array, Array]:
    """Widths and heights, in the dtype of the boxes, one rounding an operation."""
    one = boxes.dtype.type(offset)
    return boxes[..., 2] - boxes[..., 0] + one, boxes[..., 3] - boxes[..., 1] + one


@named
def area(boxes: ArrayLike, *, offset: int = 0) -> Array:
    """``(x2 - x1 + offset) * (y2 - y1 + offset)``.

    Parameters
    ----------
    boxes : array, (..., 4), float32 or float64
        Corners x1, y1, x2, y2.
    offset : {0, 1}
        1: the last pixel belongs to the box, as in Caffe's Faster R-CNN.

    Returns
    -------
    array, (...), dtype of boxes

    Raises
    ------
    ArgumentError
        For another shape or dtype, a number that is not finite, an inverted box.
    """
    (array,) = floats(boxes=boxes)
    quadruples("boxes", array)
    upright("boxes", array)
    width, height = sides(array, legacy(offset))
    return width * height


@named
def clip(boxes: ArrayLike, size: Any, *, offset: int = 0) -> Array:
    """Move the corners of boxes to the nearest place on an image.

    Parameters
    ----------
    boxes : array, (..., 4), float32 or float64
        Corners x1, y1, x2, y2.
    size : (int, int)
        Rows and columns of the image.
    offset : {0, 1}
        The last place is ``columns - offset``: 1 where coordinates are those of pixels.

    Returns
    -------
    array, (..., 4), dtype of boxes
        A box that lies outside becomes empty.

    Raises
    ------
    ArgumentError
        For another shape or dtype, a number that is not finite, a size below the offset.
    """
    (array,) = floats(boxes=boxes)
    quadruples("boxes", array)
    offset = legacy(offset)
    h, w = checks.pair("size", size, minimum=offset)
    limits = np.array([w, h, w, h], array.dtype) - array.dtype.type(offset)
    return np.minimum(np.maximum(array, 0), limits)


@named
def remove_small(
    boxes: ArrayLike, min_size: float, *, offset: int = 0, comparison: str = ">="
) -> Array:
    """Which boxes have both sides of a size.

    Parameters
    ----------
    boxes : array, (K, 4), float32 or float64
        Corners x1, y1, x2, y2. An inverted box has a negative side.
    min_size : float
        Rounded to the dtype of boxes.
    offset : {0, 1}
        Added to ``x2 - x1``.
    comparison : {">=", ">"}
        What a side must be. ">" with 0 is detectron2's ``nonempty``.

    Returns
    -------
    array, int64
        Indices of the boxes that stay, in their order.

    Raises
    ------
    ArgumentError
        For another shape or dtype, or a number that is not finite.
    """
    (array,) = floats(boxes=boxes)
    checks.axes("boxes", array, "k 4")
    quadruples("boxes", array)
    checks.choice("comparison", comparison, (">=", ">"))
    least = array.dtype.type(checks.real("min_size", min_size))
    width, height = sides(array, legacy(offset))
    short = np.minimum(width, height)
    return np.flatnonzero(short >= least if comparison == ">=" else short > least)
