"""decode_boxes by its definition.

Both axes at once: ``low = (x1, y1)``, ``high = (x2, y2)``, and a code is (shift, scale) of pairs.
Arrays are (anchors, codes of each, 4).
"""

from __future__ import annotations

import numpy as np

from numseg.ops.decode_boxes.geometry import Geometry
from numseg.typing import Array


def forward(codes: Array, anchors: Array, g: Geometry) -> Array:
    shift, scale, side, center = _parts(codes, anchors, g)
    center, half = shift * side + center, np.exp(np.minimum(scale, g.most)) * side / 2
    return np.concatenate([center - half, center + half - g.last], -1)


def backward(codes: Array, anchors: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    shift, scale, side, _ = _parts(codes, anchors, g)
    gy = gy.reshape(g.size, g.each, 4)
    by_center, by_side = gy[..., :2] + gy[..., 2:], (gy[..., 2:] - gy[..., :2]) / 2
    factor = np.exp(np.minimum(scale, g.most))
    of_shift = by_center * side / [g.weight_x, g.weight_y]
    of_scale = by_side * factor * side / [g.weight_w, g.weight_h]
    of_scale = np.where(scale > g.most, 0.0, of_scale)
    of_side = by_center * shift + by_side * factor
    of_low, of_high = by_center / 2 - of_side, by_center / 2 + of_side
    codes = np.concatenate([of_shift, of_scale], -1)
    return codes, np.concatenate([of_low, of_high], -1).sum(1)


def _parts(codes: Array, anchors: Array, g: Geometry) -> tuple[Array, ...]:
    """Shifts and scales without their weights, sides and centers of the anchors."""
    codes, anchors = codes.reshape(g.size, g.each, 4), anchors.reshape(g.size, 1, 4)
    low, high = anchors[..., :2], anchors[..., 2:]
    side = high - low + g.offset
    shift = codes[..., :2] / [g.weight_x, g.weight_y]
    scale = codes[..., 2:] / [g.weight_w, g.weight_h]
    return shift, scale, side, low + side / 2
