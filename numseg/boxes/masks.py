"""Masks of boxes, brought into images."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import checks
from numseg.boxes.door import floats, named, quadruples, rows
from numseg.errors import ArgumentError
from numseg.ops.corners import upright
from numseg.typing import Array, ArrayLike


@named
def paste_masks(
    masks: ArrayLike,
    boxes: ArrayLike,
    size: Any,
    *,
    threshold: float | None = 0.5,
    method: str = "sample",
    padding: int = 1,
) -> Array:
    """Each mask stretched over its box, in an image of zeros.

    Parameters
    ----------
    masks : array, (K, MH, MW), float32 or float64
    boxes : array, (K, 4), dtype of masks
        Corners x1, y1, x2, y2; they may leave the image. With "sample", a box without area leaves
        its image empty.
    size : (int, int)
        Rows and columns of the image.
    threshold : float, optional
        The result is ``value >= threshold``; None: the values themselves.
    method : {"sample", "resize"}
        "sample" (detectron2): pixel (r, c) reads the mask, bilinearly, at row
        ``(r + 0.5 - y1) / (y2 - y1) * MH - 0.5``, columns alike; beyond the mask are zeros, into
        which its border fades. "resize" (torchvision): the mask gets ``padding`` zeros on each
        side, the box grows by as much about its center and is truncated to whole pixels; the mask
        is resized to the ``x2 - x1 + 1`` columns and rows alike (at least 1), bilinearly, with its
        border repeated, and put at (x1, y1).
    padding : int
        Only for "resize".

    Returns
    -------
    array, (K, rows, columns), bool, or dtype of masks without threshold

    Raises
    ------
    ArgumentError
        For another shape or dtype, numbers of masks and boxes that differ, a coordinate that is not
        finite or beyond 2**24, an inverted box.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> mask, box = np.array([[[1.0, 0.0]]]), np.array([[1.0, 0, 5, 1]])
    >>> ns.boxes.paste_masks(mask, box, (1, 6), threshold=None)
    array([[[0.25, 0.75, 0.75, 0.25, 0.  , 0.  ]]])
    """
    array, corners = floats(masks=masks, boxes=boxes)
    k, mh, mw = checks.axes("masks", array, "k mh mw")
    if mh == 0 or mw == 0:
        raise ArgumentError(f"masks has shape {array.shape}: a mask without pixels")
    checks.axes("boxes", corners, "k 4")
    quadruples("boxes", corners)
    rows("boxes", corners, k, "masks")
    upright("boxes", corners)
    if (np.abs(corners) > 2**24).any():
        raise ArgumentError(f"boxes reach {np.abs(corners).max()}, expected at most {2**24}")
    h, w = checks.pair("size", size, minimum=0)
    checks.choice("method", method, ("sample", "resize"))
    padding = checks.integer("padding", padding, 0, 1024)
    least = None if threshold is None else checks.real("threshold", threshold)
    pasted = np.zeros((k, h, w), array.dtype)
    for image, mask, box in zip(pasted, array, corners, strict=True):
        if method == "sample":
            x1, y1, x2, y2 = box.astype(np.float64)
            down, right = _sampled(y1, y2, mh, h), _sampled(x1, x2, mw, w)
        else:
            mask = np.pad(mask, padding)
            x1, y1, x2, y2 = _grown(box, mask.shape[1], mw)
            down, right = _resized(y1, y2, mask.shape[0], h), _resized(x1, x2, mask.shape[1], w)
        r, c = _touched(down), _touched(right)
        image[r, c] = down[r] @ mask.astype(np.float64) @ right[c].T
    return pasted if least is None else pasted >= least


def _touched(weights: Array) -> slice:
    """The pixels that read anything at all."""
    found = np.flatnonzero(weights.any(1))
    return slice(found[0], found[-1] + 1) if len(found) else slice(0)


def _sampled(first: float, last: float, entries: int, pixels: int) -> Array:
    """Weights (pixels, entries) along one axis; what lies beyond the mask is 0."""
    if last <= first:
        return np.zeros((pixels, entries))
    place = (np.arange(pixels) + 0.5 - first) / (last - first) * entries - 0.5
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(entries)))


def _resized(first: int, last: int, entries: int, pixels: int) -> Array:
    """The same for a mask resized to the pixels from ``first`` to ``last``, its border repeated."""
    count = max(last - first + 1, 1)
    pixel = np.arange(pixels)
    place = (pixel - first + 0.5) * entries / count - 0.5
    place = np.clip(place, 0, entries - 1)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(entries)))
    return weights * ((pixel >= first) & (pixel <= last))[:, None]


def _grown(box: Array, padded: int, entries: int) -> list[int]:
    """The box with its padding, operation by operation as in torchvision."""
    kind = box.dtype.type
    half, scale = kind(0.5), kind(padded / entries)
    x1, y1, x2, y2 = box
    half_w, half_h, x, y = (x2 - x1) * half, (y2 - y1) * half, (x2 + x1) * half, (y2 + y1) * half
    half_w, half_h = half_w * scale, half_h * scale
    return [int(v) for v in (x - half_w, y - half_h, x + half_w, y + half_h)]
