"""What kernels know of a call of instance_norm."""

from __future__ import annotations

from typing import NamedTuple

from numseg.ops.batch_norm.geometry import Geometry as Batch
from numseg.ops.group_norm.geometry import Geometry as Groups


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


def groups(g: Geometry) -> Groups:
    """By the statistics of x it is group_norm, of one group for each channel."""
    return Groups(g.n, g.c, 1, g.size, g.eps)


def batch(g: Geometry) -> Batch:
    """By the running ones it is batch_norm in inference."""
    return Batch(g.n, g.c, g.size, False, 0.0, 1.0, g.eps)
