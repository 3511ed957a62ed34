"""What kernels know of a call of decode_boxes."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    size: int
    """Anchors."""
    each: int
    """Codes of an anchor."""
    weight_x: float
    weight_y: float
    weight_w: float
    weight_h: float
    most: float
    """The largest scale."""
    offset: float
    """What a side is longer than the difference of its ends."""
    last: float
    """What is taken off x2 and y2: the offset, or nothing."""
