"""What kernels know of a call of a loss of the family of box overlaps."""

from __future__ import annotations

from typing import NamedTuple

PENALTIES = ("area", "distance", "distance and shape")
"""What is added to ``1 - IoU``: by generalized, distance and complete_box_iou_loss."""


class Geometry(NamedTuple):
    size: int
    """Pairs of boxes."""
    penalty: int
    """The penalty's place in PENALTIES."""
    eps: float
    alpha_gradient: bool
    """The weight of the shapes moves too: complete_box_iou_loss's alone."""
    each: bool
    """No reduction."""
    divisor: float
    """Of the sum."""
