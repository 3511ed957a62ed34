"""Anchors: boxes of a few sizes and shapes around each place of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, named, quadruples
from numseg.errors import ArgumentError, ArgumentTypeError, shown
from numseg.typing import Array, ArrayLike, Pair


@named
def base_anchors(
    sizes: Sequence[float],
    ratios: Sequence[float],
    *,
    rounding: str = "corners",
    order: str = "ratios",
    base_size: int = 16,
    origin: int = 0,
    dtype: Any = np.float32,
) -> Array:
    """The anchors of one place, of every size and every ratio height / width.

    Parameters
    ----------
    sizes : numbers
        The square root of an anchor's area, in pixels.
    ratios : numbers
        Height over width.
    rounding : {"corners", "none", "sides"}
        "corners" (torchvision): ``width = size * (1 / sqrt(ratio))``, ``height = size *
        sqrt(ratio)`` in ``dtype``, the center at (0, 0), and the corners rounded, halves to even.
        "none" (detectron2): ``width = sqrt(size ** 2 / ratio)``, ``height = ratio * width`` in
        float64, the center at (0, 0). "sides" (Caffe's Faster R-CNN): the sides are those of a box
        of ``base_size`` pixels, rounded (``w = round(sqrt(base_size ** 2 / ratio))``, ``h =
        round(w * ratio)``), and then times ``size / base_size``; the corners are
        ``center -+ (side - 1) / 2`` around ``(base_size - 1) / 2``.
    order : {"ratios", "sizes"}
        "ratios": all sizes of the first ratio, then of the next (torchvision, Caffe). "sizes": all
        ratios of the first size (detectron2).
    base_size : int
        Only for "sides".
    origin : {0, 1}
        What the first pixel is called: 1 in MATLAB, where Faster R-CNN was written, whose first
        anchor is -83 -39 100 56. All coordinates are larger by that.
    dtype : float32 or float64

    Returns
    -------
    array, (A, 4)
        Corners x1, y1, x2, y2.

    Raises
    ------
    ArgumentError
        For a size or ratio that is not positive.

    Examples
    --------
    >>> import numseg as ns
    >>> ns.boxes.base_anchors([32], [0.5, 2])
    array([[-23., -11.,  23.,  11.],
           [-11., -23.,  11.,  23.]], dtype=float32)
    >>> ns.boxes.base_anchors([128], [0.5], rounding="sides")
    array([[-84., -40.,  99.,  55.]], dtype=float32)
    """
    kind = _dtype(dtype)
    checks.choice("rounding", rounding, ("corners", "none", "sides"))
    checks.choice("order", order, ("ratios", "sizes"))
    base = checks.integer("base_size", base_size, 1)
    middle = float(checks.integer("origin", origin, 0, 1))
    exact = kind if rounding == "corners" else np.float64
    size, ratio = (
        np.array(_positive(name, values), exact)
        for name, values in (("sizes", sizes), ("ratios", ratios))
    )
    if rounding == "corners":
        root = np.sqrt(ratio)
        w, h = np.outer(1 / root, size), np.outer(root, size)
        x, y = np.round(w / 2), np.round(h / 2)
    elif rounding == "none":
        w = np.sqrt(size**2 / ratio[:, None])
        x, y = w / 2, ratio[:, None] * w / 2
    else:
        side = np.round(np.sqrt(base**2 / ratio))
        w, h = np.outer(side, size / base), np.outer(np.round(side * ratio), size / base)
        x, y, middle = (w - 1) / 2, (h - 1) / 2, middle + (base - 1) / 2
    boxes = np.stack([middle - x, middle - y, middle + x, middle + y], -1)
    boxes = boxes if order == "ratios" else boxes.swapaxes(0, 1)
    return boxes.reshape(-1, 4).astype(kind)


@named
def anchors(grid_size: Pair, stride: Pair, base: ArrayLike, *, offset: float = 0.0) -> Array:
    """The anchors of a grid: those of one place, moved to each.

    Place (p, q) is ``(q + offset) * stride[1]`` to the right and ``(p + offset) * stride[0]`` down.

    Parameters
    ----------
    grid_size : int or (rows, columns)
        Of the feature map.
    stride : int or (rows, columns)
        Pixels between two places.
    base : array, (A, 4), float32 or float64
        From :func:`base_anchors`.
    offset : float
        Where the first place is, in strides: 0 in torchvision and Caffe; detectron2 has it as
        ``MODEL.ANCHOR_GENERATOR.OFFSET``.

    Returns
    -------
    array, (rows * columns * A, 4), dtype of base
        Place by place, row by row.

    Raises
    ------
    ArgumentError
        For a size or stride below 1, another shape or dtype, an offset outside of [0, 1).

    Examples
    --------
    >>> import numseg as ns
    >>> ns.boxes.anchors((1, 2), 16, ns.boxes.base_anchors([8], [1]))
    array([[-4., -4.,  4.,  4.],
           [12., -4., 20.,  4.]], dtype=float32)
    """
    (array,) = floats(base=base)
    checks.axes("base", array, "a 4")
    quadruples("base", array)
    h, w = checks.pair("grid_size", grid_size, minimum=0)
    sy, sx = checks.pair("stride", stride, minimum=1)
    start = checks.real("offset", offset, 0, np.nextafter(1, 0))
    y, x = np.meshgrid((np.arange(h) + start) * sy, (np.arange(w) + start) * sx, indexing="ij")
    places = np.stack([x, y, x, y], -1).reshape(-1, 1, 4).astype(array.dtype)
    return (places + array).reshape(-1, 4)


def _dtype(value: Any) -> Any:
    try:
        dtype = np.dtype(value)
    except TypeError:
        dtype = np.dtype(object)
    if dtype not in checks.FLOATS:
        raise ArgumentTypeError(f"dtype must be float32 or float64, got {shown(value)}")
    return dtype.type


def _positive(name: str, values: Any) -> list[float]:
    if not checks.is_sequence(values):
        raise ArgumentError(f"{name} must be a sequence of numbers, got {shown(values)}")
    return [checks.positive(f"{name}[{i}]", value) for i, value in enumerate(values)]
