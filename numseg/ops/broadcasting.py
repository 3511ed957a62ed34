"""``@broadcasting``: an operator that :mod:`numseg.broadcasting` makes of formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from numseg import broadcasting as family
from numseg import checks
from numseg.broadcasting import Geometry, broadcast_shape
from numseg.geometry import POINTWISE
from numseg.operator import Operator, Plan, Spec, operator
from numseg.ops.pointwise import completed
from numseg.typing import Array, ArrayLike, Shape

P = ParamSpec("P")

SHARED = {
    "Parameters": "x, other : array, float32 or float64\n"
    "    Of one dtype, and of shapes that broadcast by NumPy's rule.",
    "Returns": "array\n    Dtype of x, and the shape that x and other broadcast to.",
    "Raises": "ArgumentError\n    If the shapes do not broadcast, or the dtypes differ.",
    "Notes": "",
}
"""What the sections of a docstring say where it leaves them out."""


def broadcasting(
    inputs: str = "x other", *, saves: str | None = None, linear: str = ""
) -> Callable[[Callable[P, Plan[Array]]], Operator[P, Array]]:
    """Make an operator of a function that returns :func:`planned`.

    ``saves`` is "" where no gradient depends on the arrays. Sections that the docstring leaves out
    are those that all such operators share.
    """

    def make(plan: Callable[P, Plan[Array]]) -> Operator[P, Array]:
        plan.__doc__ = completed(plan.__doc__, SHARED)
        kept = inputs if saves is None else saves
        return operator(inputs, saves=kept, linear=linear, family=family)(plan)

    return make


def planned(
    x: ArrayLike,
    other: ArrayLike,
    *,
    name: str = "other",
    shape: Shape | None = None,
    flops: int = 1,
) -> Plan[Array]:
    """The plan of a call: ``flops`` for each number of the result, and what the other array is
    called and in which ``shape`` it broadcasts, where that is not its own."""
    dtype = checks.floats(x=x, **{name: other})
    ours = tuple(x.shape)
    theirs = tuple(other.shape) if shape is None else shape
    spec = Spec(broadcast_shape("x", ours, name, theirs), dtype)
    repeated = (1, 1, *ours)[-2:] != (1, 1, *spec.shape)[-2:]
    return Plan(
        outputs=(spec,),
        geometry=Geometry(ours, theirs),
        flops=flops * spec.size,
        reach=None if repeated else POINTWISE,
    )
