"""Boxes as differences from others: Faster R-CNN's (dx, dy, dw, dh)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, legacy, named, quadruples, upright
from numseg.boxes.shapes import sides
from numseg.errors import ArgumentError, shown
from numseg.typing import Array, ArrayLike

CLIP = math.log(1000 / 16)
"""The largest dw and dh in torchvision and detectron2: a factor of 62.5."""


@named
def encode(
    boxes: ArrayLike,
    anchors: ArrayLike,
    *,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    offset: int = 0,
) -> Array:
    """Boxes as seen from anchors.

    With the width ``w = x2 - x1 + offset`` and the center ``x = x1 + w / 2`` of a box, and wa and
    xa of its anchor, columns and rows alike::

        dx = weights[0] * (x - xa) / wa        dw = weights[2] * log(w / wa)

    Parameters
    ----------
    boxes, anchors : array, (..., 4), both float32 or both float64
        Corners x1, y1, x2, y2. Leading axes broadcast.
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
        For another shape or dtype, a number that is not finite, a box or an anchor without area
        (with offset 1: an inverted one).

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> anchor = np.array([0.0, 0, 10, 20])
    >>> ns.boxes.encode(np.array([5.0, 5, 15, 25]), anchor)  # as large, 5 to the right and down
    array([0.5 , 0.25, 0.  , 0.  ])
    """
    array, base = floats(boxes=boxes, anchors=anchors)
    offset = legacy(offset)
    for name, checked in (("boxes", array), ("anchors", base)):
        quadruples(name, checked)
        upright(name, checked, positive=offset == 0)
    _broadcast(boxes=array, anchors=base)
    wx, wy, ww, wh = _weights(weights, array.dtype)
    (w, h, x, y), (wa, ha, xa, ya) = _centers(array, offset), _centers(base, offset)
    codes = wx * (x - xa) / wa, wy * (y - ya) / ha, ww * np.log(w / wa), wh * np.log(h / ha)
    return np.stack(codes, -1)


@named
def decode(
    codes: ArrayLike,
    anchors: ArrayLike,
    *,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    clip: float | None = CLIP,
    offset: int = 0,
    inverse: bool = True,
) -> Array:
    """Boxes from anchors and codes: the inverse of :func:`encode`.

    ``x = dx / weights[0] * wa + xa`` and ``w = exp(min(dw / weights[2], clip)) * wa``; the box goes
    from ``x - w / 2`` to ``x + w / 2 - offset``.

    Parameters
    ----------
    codes, anchors : array, (..., 4), both float32 or both float64
        Leading axes broadcast: (K, C, 4) codes and (K, 1, 4) anchors decode each class.
    weights : four numbers
        As in :func:`encode`.
    clip : float, optional
        The largest dw and dh, so that no side overflows: log(1000 / 16) in torchvision and
        detectron2. None: none, as in Caffe's Faster R-CNN.
    offset : {0, 1}
        As in :func:`encode`.
    inverse : bool
        False, with offset 1: do not subtract it from x2 and y2, which then are one too large, as
        in Caffe's Faster R-CNN.

    Returns
    -------
    array, (..., 4), dtype of the codes
        Corners x1, y1, x2, y2.

    Raises
    ------
    ArgumentError
        For another shape or dtype, a number that is not finite, an inverted anchor.
    """
    array, base = floats(codes=codes, anchors=anchors)
    offset = legacy(offset)
    quadruples("codes", array)
    quadruples("anchors", base)
    upright("anchors", base)
    _broadcast(codes=array, anchors=base)
    kind = array.dtype.type
    codes_of = np.moveaxis(array, -1, 0)
    dx, dy, dw, dh = (d / v for d, v in zip(codes_of, _weights(weights, array.dtype), strict=True))
    if clip is not None:
        most = kind(checks.real("clip", clip))
        dw, dh = np.minimum(dw, most), np.minimum(dh, most)
    last = kind(offset if checks.flag("inverse", inverse) else 0)
    wa, ha, xa, ya = _centers(base, offset)
    x, y = dx * wa + xa, dy * ha + ya
    with np.errstate(over="ignore"):  # without clip a side may become infinite
        half_w, half_h = kind(0.5) * (np.exp(dw) * wa), kind(0.5) * (np.exp(dh) * ha)
    return np.stack([x - half_w, y - half_h, x + half_w - last, y + half_h - last], -1)


def _centers(boxes: Array, offset: int) -> tuple[Array, ...]:
    """Width, height, and the center's x and y."""
    width, height = sides(boxes, offset)
    half = boxes.dtype.type(0.5)
    return width, height, boxes[..., 0] + half * width, boxes[..., 1] + half * height


def _weights(weights: Any, dtype: Any) -> tuple[Any, ...]:
    if not checks.is_sequence(weights) or len(weights) != 4:
        raise ArgumentError(f"weights must be four numbers, got {shown(weights)}")
    numbers = [checks.real(f"weights[{i}]", v) for i, v in enumerate(weights)]
    if 0 in numbers:
        raise ArgumentError(f"weights must not be 0, got {shown(weights)}")
    return tuple(dtype.type(v) for v in numbers)


def _broadcast(**arrays: Array) -> None:
    (one, a), (two, b) = arrays.items()
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ArgumentError(
            f"{one} has shape {a.shape}, {two} has {b.shape}: they do not broadcast"
        ) from None
