"""What kernels know of a call of dropout."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    size: int
    run: int
    """Neighbours that are dropped together."""
    seed: int
    p: float
    """0 in inference."""
    scale: float
    """What is not dropped is multiplied by it."""
