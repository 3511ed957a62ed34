"""Boxes as differences from others, checked, and with leading axes that broadcast.

The operators :data:`numseg.encode_boxes` and :data:`numseg.decode_boxes` have the formulas, and
gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, legacy, named, quadruples
from numseg.errors import ArgumentError
from numseg.ops.corners import upright
from numseg.ops.decode_boxes import CLIP, decode_boxes
from numseg.ops.encode_boxes import encode_boxes, four
from numseg.typing import Array, ArrayLike


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
    array, base = _broadcast(boxes=array, anchors=base)
    return encode_boxes(array, base, four(weights), offset)


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
    quadruples("codes", array)
    quadruples("anchors", base)
    upright("anchors", base)
    most = None if clip is None else checks.real("clip", clip)
    offset, inverse = legacy(offset), checks.flag("inverse", inverse)
    array, base = _broadcast(codes=array, anchors=base)
    return decode_boxes(array, base, four(weights), most, offset, inverse)


def _broadcast(**arrays: Array) -> tuple[Array, Array]:
    (one, a), (two, b) = arrays.items()
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ArgumentError(
            f"{one} has shape {a.shape}, {two} has {b.shape}: they do not broadcast"
        ) from None
    a, b = (np.ascontiguousarray(np.broadcast_to(part, shape)) for part in (a, b))
    return a, b
