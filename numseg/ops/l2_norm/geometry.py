"""What kernels know of a call of l2_norm."""

from __future__ import annotations

from typing import NamedTuple

EPS_RULES = ("max", "inside", "outside")


class Geometry(NamedTuple):
    n: int
    c: int
    size: int
    """Pixels: the product of the trailing axes."""
    eps: float
    rule: int
    """The eps rule's place in EPS_RULES."""
