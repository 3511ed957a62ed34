"""What is known of a call of reshape, besides the array."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    size: int
    shape: tuple[int, ...]
    """Of the result."""
