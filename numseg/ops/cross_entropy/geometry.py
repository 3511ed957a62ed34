"""What kernels know of a call of cross_entropy."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    size: int
    """Pixels: the product of the trailing axes."""
    ignores: bool
    ignore_index: int
    """Counts only where ``ignores``."""
    per_pixel: bool
    """No reduction."""
    mean: bool
    """Divide the sum by the weights of the pixels that count."""
    valid: bool
    """Divide it by their number, at least 1."""
    divisor: float
    """Else divide it by this."""
    empty_is_nan: bool
    """The mean over no weight is NaN, not 0."""
    smoothing: float
    gamma: float
    worst: float
    """The largest loss of a pixel, before its weight."""
