"""What kernels know of a call of concat."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    axis: int
    sizes: tuple[int, ...]
    """Each input's size along the axis."""
    outer: int
    """Product of the sizes before the axis."""
    inner: int
    """Product of the sizes after it."""
