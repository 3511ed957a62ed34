"""What kernels know of a call of group_norm."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    groups: int
    channels: int
    """Channels in a group."""
    size: int
    """Values in a plane: the product of the trailing axes."""
    eps: float
