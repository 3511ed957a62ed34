"""What kernels know of a call of index_select."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    outer: int
    """Numbers of the axes in front."""
    size: int
    inner: int
    """Of those behind."""
    taken: int
    """Entries of the result."""
