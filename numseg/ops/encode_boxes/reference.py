"""encode_boxes by its definition.

Both axes at once: ``low = (x1, y1)``, ``high = (x2, y2)``, and a code is (shift, scale) of pairs.
"""

from __future__ import annotations

import numpy as np

from numseg.ops.encode_boxes.geometry import Geometry
from numseg.typing import Array


def forward(boxes: Array, anchors: Array, g: Geometry) -> Array:
    (side, center), (side_a, center_a) = _measured(boxes, g), _measured(anchors, g)
    per_shift, per_scale = _weights(g)
    shift, scale = (center - center_a) / side_a, np.log(side / side_a)
    return np.concatenate([per_shift * shift, per_scale * scale], -1)


def backward(boxes: Array, anchors: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    (side, center), (side_a, center_a) = _measured(boxes, g), _measured(anchors, g)
    per_shift, per_scale = _weights(g)
    of_shift, of_scale = per_shift * gy[..., :2], per_scale * gy[..., 2:]
    by_center = of_shift / side_a
    by_side_a = -(of_shift * (center - center_a) / side_a + of_scale) / side_a
    return _of_corners(of_scale / side, by_center), _of_corners(by_side_a, -by_center)


def _measured(boxes: Array, g: Geometry) -> tuple[Array, Array]:
    """Sides and centers."""
    low, high = boxes[..., :2], boxes[..., 2:]
    side = high - low + g.offset
    return side, low + side / 2


def _of_corners(by_side: Array, by_center: Array) -> Array:
    """The gradient of (low, high): of both the center is the mean, but for the offset."""
    return np.concatenate([by_center / 2 - by_side, by_center / 2 + by_side], -1)


def _weights(g: Geometry) -> tuple[Array, Array]:
    return np.array([g.weight_x, g.weight_y]), np.array([g.weight_w, g.weight_h])
