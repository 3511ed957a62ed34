"""What kernels know of a call of sigmoid_focal_loss."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    size: int
    yes: float
    """What yes counts: alpha, or 1."""
    no: float
    """What no counts: 1 - alpha, or 1."""
    gamma: float
    each: bool
    """No reduction."""
    divisor: float
    """Of the sum."""
