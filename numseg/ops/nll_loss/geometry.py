"""What kernels know of a call of nll_loss."""

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
    """Divide the sum by the weights of the pixels that count, else by 1."""
    empty_is_nan: bool
    """The mean over no weight is NaN, not 0."""
