"""A loss that somebody else might write: an operator outside of numseg, with a CUDA twin."""

from __future__ import annotations

from typing import NamedTuple

from numseg import checks
from numseg.operator import Plan, Spec, operator
from numseg.typing import Array, ArrayLike


class Geometry(NamedTuple):
    size: int


@operator("x target", saves="x target", differentiable="x")
def squared_error(x: ArrayLike, target: ArrayLike) -> Plan[Array]:
    """``sum((x - target)**2) / 2``."""
    dtype = checks.floats(x=x, target=target)
    checks.shape("target", target, x.shape, "the shape of x")
    return Plan(
        outputs=(Spec((), dtype),), geometry=Geometry(Spec(tuple(x.shape)).size), reach=None
    )
