"""Derivatives of encode_boxes, along both axes at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g = saved.plan.geometry
    (side, center), (side_a, center_a) = (measured(b, g.offset) for b in saved[:2])
    shift, scale = ([g.weight_x, g.weight_y], [g.weight_w, g.weight_h])
    (d_side, d_center), (d_side_a, d_center_a) = (
        (0.0, 0.0) if t is None else measured(t, 0.0) for t in along.values()
    )
    moved = (d_center - d_center_a - (center - center_a) / side_a * d_side_a) / side_a
    grown = d_side / side - d_side_a / side_a
    return np.concatenate([np.multiply(shift, moved), np.multiply(scale, grown)], -1)


def measured(boxes: Array, offset: float) -> tuple[Array, Array]:
    """Sides and centers, or those of tangents."""
    low, high = boxes[..., :2], boxes[..., 2:]
    side = high - low + offset
    return side, low + 0.5 * side
