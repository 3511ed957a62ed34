"""What kernels know of a call of binary_cross_entropy_with_logits."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    size: int
    """Losses."""
    classes: int
    """That ``labels`` choose from; 0 without labels."""
    each: bool
    """No reduction."""
    divisor: float
    """Of the sum."""
