"""What kernels know of a call of smooth_l1_loss."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    size: int
    beta: float
    scale: float
    """Of each loss: beta for Huber's, else 1."""
    each: bool
    """No reduction."""
    divisor: float
    """Of the sum."""
