"""What kernels know of a call of local_response_norm."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    size: int
    """Values in a plane: the product of the trailing axes."""
    before: int
    """Channels of a window before its own, at most."""
    after: int
    scale: float
    """What the sum of squares is multiplied by: alpha / size."""
    beta: float
    k: float
