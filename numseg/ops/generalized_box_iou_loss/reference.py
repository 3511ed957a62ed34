"""The losses of box overlaps by their definitions.

    IoU        = I / (U + eps)
    area       : 1 - IoU + (C - U) / (C + eps)
    distance   : 1 - IoU + R / (D + eps)
    and shape  : the same + alpha v
                 with v = (4 / pi**2) (t' - t)**2 and alpha = v / (1 - IoU + v + eps)

I, U and C are the areas of the intersection, the union and the smallest box around both; D is the
square of that box's diagonal and R that of the distance between the centers; t is the angle whose
tangent is width / height. Of alpha no derivative is taken, unless ``alpha_gradient`` asks for it.

Corners of a box are pairs here, for both axes at once: ``low = (x1, y1)``, ``high = (x2, y2)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numseg.ops.generalized_box_iou_loss.geometry import PENALTIES, Geometry
from numseg.typing import Array


class _Pair(NamedTuple):
    """What the formulas are made of. Sides are (K, 2), the rest (K,)."""

    side: Array
    """Of the first box."""
    shared: Array
    """Sides of the intersection; 0 where there is none."""
    around: Array
    """Sides of the box around both."""
    apart: Array
    """From the second center to the first, along both axes."""
    inter: Array
    union: Array
    turn: Array
    """The angle t of the second box less that of the first."""


def forward(boxes1: Array, boxes2: Array, g: Geometry) -> Array:
    pair = _pair(boxes1, boxes2)
    iou = pair.inter / (pair.union + g.eps)
    losses = 1 - iou + _penalty(pair, iou, g)
    return losses if g.each else losses.sum() / g.divisor


def backward(boxes1: Array, boxes2: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    gy = np.broadcast_to(gy / g.divisor, boxes1.shape[:-1]).reshape(-1, 1)
    found = (_gradient(a, b, g) for a, b in ((boxes1, boxes2), (boxes2, boxes1)))  # symmetric
    one, two = (gy * gradient for gradient in found)
    return one, two


def _pair(boxes1: Array, boxes2: Array) -> _Pair:
    low, high, low_, high_ = _corners(boxes1, boxes2)
    side, side_ = high - low, high_ - low_
    shared = np.minimum(high, high_) - np.maximum(low, low_)
    shared = np.where((shared > 0).all(-1, keepdims=True), shared, 0.0)
    inter = shared.prod(-1)
    return _Pair(
        side=side,
        shared=shared,
        around=np.maximum(high, high_) - np.minimum(low, low_),
        apart=(low + high) / 2 - (low_ + high_) / 2,
        inter=inter,
        union=side.prod(-1) + side_.prod(-1) - inter,
        turn=np.arctan2(*side_.T) - np.arctan2(*side.T),
    )


def _penalty(pair: _Pair, iou: Array, g: Geometry) -> Array:
    if PENALTIES[g.penalty] == "area":
        around = pair.around.prod(-1)
        return (around - pair.union) / (around + g.eps)
    distance = (pair.apart**2).sum(-1) / ((pair.around**2).sum(-1) + g.eps)
    if PENALTIES[g.penalty] == "distance":
        return distance
    v = 4 / np.pi**2 * pair.turn**2
    return distance + v / (1 - iou + v + g.eps) * v


def _gradient(boxes1: Array, boxes2: Array, g: Geometry) -> Array:
    """Of each loss by the corners of the first box."""
    low, high, low_, high_ = _corners(boxes1, boxes2)
    pair = _pair(boxes1, boxes2)
    iou = pair.inter / (pair.union + g.eps)
    # d loss = by_iou d iou + by_union d union + sum(by_around d around + by_center d center
    #          + by_side d side)
    by_iou, by_union = -np.ones_like(iou), np.zeros_like(iou)
    by_around, by_center, by_side = (np.zeros_like(low) for _ in range(3))
    if PENALTIES[g.penalty] == "area":
        around = pair.around.prod(-1)
        share = (around - pair.union) / (around + g.eps)
        by_union = -1 / (around + g.eps)
        by_around = ((1 - share) / (around + g.eps))[:, None] * pair.around[:, ::-1]
    else:
        diagonal = ((pair.around**2).sum(-1) + g.eps)[:, None]
        distance = (pair.apart**2).sum(-1)[:, None]
        by_around = -2 * pair.around * distance / diagonal**2
        by_center = 2 * pair.apart / diagonal
    if PENALTIES[g.penalty] == "distance and shape":
        v = 4 / np.pi**2 * pair.turn**2
        alpha = v / (1 - iou + v + g.eps)
        by_v = alpha
        if g.alpha_gradient:
            by_v, by_iou = alpha * (2 - alpha), by_iou + alpha**2
        length = (pair.side**2).sum(-1)
        slope = by_v * (8 / np.pi**2) * -pair.turn
        slope = np.where(length == 0, 0.0, slope / length)[:, None]  # a point has no shape
        by_side = slope * pair.side[:, ::-1] * [1, -1]
    per_union = by_iou / (pair.union + g.eps)  # d iou = d inter / (U + eps) - iou d union / (U+eps)
    by_union = by_union - per_union * iou
    by_shared = (per_union - by_union)[:, None] * pair.shared[:, ::-1]  # d union = d area - d inter
    by_side = by_side + by_union[:, None] * pair.side[:, ::-1]
    of_low = -by_shared * _first(low, low_) - by_around * _first(low_, low) - by_side
    of_high = by_shared * _first(high_, high) + by_around * _first(high, high_) + by_side
    return np.concatenate([of_low + by_center / 2, of_high + by_center / 2], -1)


def _corners(boxes1: Array, boxes2: Array) -> tuple[Array, ...]:
    """The low and the high corners of both."""
    one, two = boxes1.reshape(-1, 4), boxes2.reshape(-1, 4)
    return one[:, :2], one[:, 2:], two[:, :2], two[:, 2:]


def _first(a: Array, b: Array) -> Array:
    """What the first of two gets of the gradient of their maximum: half at a tie."""
    return (a > b) + (a == b) / 2
