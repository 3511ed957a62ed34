"""The losses of box overlaps of one pair of boxes, and their slopes."""

import math

from numseg.kernels.machine.jit import rule

AREA, DISTANCE = 0, 1
"""Places in PENALTIES."""

SHAPE = 4 / math.pi**2


@rule
def first(a, b):
    """What the first of two gets of the gradient of their maximum: half at a tie."""
    real = type(a)
    return real(1) if a > b else (real(0.5) if a == b else real(0))


@rule
def overlap_of(x1, y1, x2, y2, u1, v1, u2, v2):
    """The sides of the intersection, 0 where there is none, and the area of the union."""
    zero = type(x1)(0)
    w, h = min(x2, u2) - max(x1, u1), min(y2, v2) - max(y1, v1)
    if not (w > zero and h > zero):
        w, h = zero, zero
    return w, h, (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - w * h


@rule
def shape_of(x1, y1, x2, y2, u1, v1, u2, v2, rest):
    """How far the second angle is from the first, v, and alpha; ``rest`` is ``1 - IoU + eps``."""
    turn = math.atan2(u2 - u1, v2 - v1) - math.atan2(x2 - x1, y2 - y1)
    v = type(x1)(SHAPE) * turn * turn
    return turn, v, v / (rest + v)


@rule
def loss_of(x1, y1, x2, y2, u1, v1, u2, v2, g):
    real = type(x1)
    one, half = real(1), real(0.5)
    w, h, union = overlap_of(x1, y1, x2, y2, u1, v1, u2, v2)
    lost = one - w * h / (union + g.eps)
    w, h = max(x2, u2) - min(x1, u1), max(y2, v2) - min(y1, v1)
    if g.penalty == AREA:
        return lost + (w * h - union) / (w * h + g.eps)
    dx, dy = half * (x1 + x2) - half * (u1 + u2), half * (y1 + y2) - half * (v1 + v2)
    loss = lost + (dx * dx + dy * dy) / (w * w + h * h + g.eps)
    if g.penalty == DISTANCE:
        return loss
    _, v, alpha = shape_of(x1, y1, x2, y2, u1, v1, u2, v2, lost + g.eps)
    return loss + alpha * v


@rule
def slopes_of(x1, y1, x2, y2, u1, v1, u2, v2, g):
    """Of the loss, by x1, y1, x2, y2. Those by the second box are the same with boxes swapped."""
    real = type(x1)
    one, half, two = real(1), real(0.5), real(2)
    w, h, union = overlap_of(x1, y1, x2, y2, u1, v1, u2, v2)
    iou = w * h / (union + g.eps)
    side, rise = x2 - x1, y2 - y1
    cw, ch = max(x2, u2) - min(x1, u1), max(y2, v2) - min(y1, v1)
    by_iou, by_union = -one, real(0)
    by_x, by_y, by_side, by_rise = real(0), real(0), real(0), real(0)
    if g.penalty == AREA:
        around = cw * ch + g.eps
        by_union = -one / around
        by_area = (one - (cw * ch - union) / around) / around
        by_cw, by_ch = by_area * ch, by_area * cw
    else:
        around = cw * cw + ch * ch + g.eps
        dx, dy = half * (x1 + x2) - half * (u1 + u2), half * (y1 + y2) - half * (v1 + v2)
        fall = -two * (dx * dx + dy * dy) / (around * around)
        by_cw, by_ch = fall * cw, fall * ch
        by_x, by_y = dx / around, dy / around
        if g.penalty != DISTANCE:
            turn, _, alpha = shape_of(x1, y1, x2, y2, u1, v1, u2, v2, one - iou + g.eps)
            by_v = alpha
            if g.alpha_gradient:
                by_v, by_iou = alpha * (two - alpha), by_iou + alpha * alpha
            length = side * side + rise * rise
            if length != 0:  # a point has no shape
                slope = -by_v * real(2 * SHAPE) * turn / length
                by_side, by_rise = slope * rise, -slope * side
    per_union = by_iou / (union + g.eps)
    by_union -= per_union * iou
    by_side, by_rise = by_side + by_union * rise, by_rise + by_union * side
    by_w, by_h = (per_union - by_union) * h, (per_union - by_union) * w
    return (
        by_x - by_side - by_w * first(x1, u1) - by_cw * first(u1, x1),
        by_y - by_rise - by_h * first(y1, v1) - by_ch * first(v1, y1),
        by_x + by_side + by_w * first(u2, x2) + by_cw * first(x2, u2),
        by_y + by_rise + by_h * first(v2, y2) + by_ch * first(y2, v2),
    )
