"""What kernels know of a call of log_softmax."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    """Product of the axes before the softmax's: x is (n, c, size)."""
    c: int
    size: int
    """Product of the axes after it."""
