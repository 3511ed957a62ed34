"""Masks of objects: how much they overlap, and the boxes that hold them."""

from __future__ import annotations

import numpy as np

from numseg import checks
from numseg.errors import ArgumentError, ArgumentTypeError
from numseg.typing import Array


@checks.named("masks_to_boxes")
def masks_to_boxes(masks: Array, *, offset: int = 0) -> Array:
    """The smallest box that holds each mask.

    Parameters
    ----------
    masks : array, (N, H, W), bool
        Each has a pixel at least.
    offset : {0, 1}
        0: the edges of the box, x1 is the last column + 1. 1: its pixels, x1 is the last column, as
        torchvision's function of this name.

    Returns
    -------
    array, (N, 4), float64
        x0, y0, x1, y1.

    Raises
    ------
    ArgumentError
        For another shape or dtype, or a mask without a pixel, which has no box.

    Examples
    --------
    >>> import numpy as np
    >>> masks_to_boxes(np.array([[[0, 0, 0], [0, 1, 1]]], bool))
    array([[1., 1., 3., 2.]])
    """
    _check("masks", masks)
    offset = checks.integer("offset", offset, 0, 1)
    empty = np.asarray(~masks.any(axis=(1, 2)))
    if empty.any():
        raise ArgumentError(f"masks[{int(empty.argmax())}] has no pixel, expected at least 1")
    sides = []
    for axis in (1, 2):  # without rows, columns are left
        there = np.asarray(masks.any(axis=axis))
        size = there.shape[1]
        last = size - there[:, ::-1].argmax(axis=1) - offset if size else np.zeros(0)
        sides.append((there.argmax(axis=1) if size else np.zeros(0), last))
    (x0, x1), (y0, y1) = sides
    return np.stack([x0, y0, x1, y1], axis=1).astype(np.float64)


@checks.named("mask_iou")
def mask_iou(masks1: Array, masks2: Array) -> Array:
    """Intersection over union of each mask of one set with each of another, in pixels.

    Parameters
    ----------
    masks1, masks2 : array, (N, H, W) and (M, H, W), bool

    Returns
    -------
    array, (N, M), float64
        0 for two masks without pixels.

    Raises
    ------
    ArgumentError
        For another shape or dtype, or masks of two sizes.

    Examples
    --------
    >>> import numpy as np
    >>> mask_iou(np.array([[[1, 1, 0]]], bool), np.array([[[0, 1, 1]], [[0, 0, 1]]], bool))
    array([[0.33333333, 0.        ]])
    """
    _check("masks1", masks1)
    _check("masks2", masks2)
    checks.shape("masks2", masks2, (len(masks2), *masks1.shape[1:]), "the size of masks1")
    inter = intersections(masks1, masks2)
    areas = [np.count_nonzero(masks, axis=(1, 2)) for masks in (masks1, masks2)]
    union = areas[0][:, None] + areas[1] - inter
    return np.divide(inter, union, out=np.zeros(union.shape), where=union > 0)


def intersections(masks1: Array, masks2: Array) -> Array:
    """The pixels that two masks share, (N, M) float64."""
    shared = np.zeros((len(masks1), len(masks2)))
    for column, mask in enumerate(masks2):
        shared[:, column] = np.count_nonzero(masks1[:, mask], axis=1)
    return shared


def _check(name: str, masks: Array) -> None:
    checks.axes(name, masks, "n h w")
    if masks.dtype != bool:
        raise ArgumentTypeError(f"{name} has dtype {masks.dtype}, expected bool")
