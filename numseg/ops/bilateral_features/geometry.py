"""What kernels know of a call of bilateral_features and of spatial_features."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    """Channels of colour; 0 of spatial_features."""
    h: int
    w: int
