"""What kernels know of a call of instance_norm."""

from __future__ import annotations

from typing import NamedTuple


class Geometry(NamedTuple):
    n: int
    c: int
    size: int
    """Values in a plane: the product of the trailing axes."""
    of_input: bool
    """Normalise by the statistics of x, not by the running ones."""
    momentum: float
    """The share of the new statistics in the running ones."""
    correction: float
    """What the variance of a plane is multiplied by for the running one."""
    eps: float
