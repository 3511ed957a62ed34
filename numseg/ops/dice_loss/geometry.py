"""What kernels know of a call of dice_loss."""

from __future__ import annotations

from typing import NamedTuple

ACTIVATIONS = ("none", "sigmoid", "softmax")


class Geometry(NamedTuple):
    n: int
    c: int
    size: int
    """Pixels: the product of the trailing axes."""
    labels: bool
    """The target holds labels, not masks."""
    activation: int
    """A place in ACTIVATIONS."""
    squared: bool
    smooth_nr: float
    smooth_dr: float
    batch: bool
    micro: bool
    ignores: bool
    ignore_index: int
    """Counts only where ``ignores``."""
    each: bool
    """No reduction."""
    divisor: float
    """Of the sum."""
