"""What kernels know of a call of encode_boxes."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    size: int
    """Boxes."""
    weight_x: float
    weight_y: float
    weight_w: float
    weight_h: float
    offset: float
    """What a side is longer than the difference of its ends."""
