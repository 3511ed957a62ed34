"""What kernels know of a call of argmax and argmin."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    outer: int
    """Numbers of the axes in front."""
    size: int
    """Of the axis that is searched."""
    inner: int
    """Of those behind."""
    least: bool
    """The least number is wanted, not the largest."""
    last: bool
    """Of equal ones the last, not the first."""
