"""What the plans of operators over axes share: sum, mean, amax, amin."""

from __future__ import annotations

from typing import Any

from numseg import checks
from numseg.errors import ArgumentError
from numseg.geometry import Reach, adaptive_reach
from numseg.operator import Plan, Spec
from numseg.over_axes import Geometry
from numseg.typing import Array, ArrayLike


def planned(x: ArrayLike, dim: Any, keepdim: Any, number: int = 1) -> Plan[Array]:
    """The plan of a call; ``number`` is the geometry's, if it is no mean's."""
    shape, dims = tuple(x.shape), axes(x, dim)
    keep = checks.flag("keepdim", keepdim)
    result = tuple(
        1 if d in dims else size for d, size in enumerate(shape) if keep or d not in dims
    )
    spec = Spec(result, checks.floats(x=x))
    return Plan(
        outputs=(spec,),
        geometry=Geometry(shape, dims, number),
        flops=Spec(shape).size,
        reach=_reach(shape, dims, keep),
    )


def axes(x: ArrayLike, dim: Any) -> tuple[int, ...]:
    """The axes that ``dim`` names, in order; all for None."""
    if dim is None:
        return tuple(range(len(x.shape)))
    if not checks.is_sequence(dim):
        return (checks.dim(dim, "x", x),)
    found = [checks.dim(d, "x", x, f"dim[{j}]") for j, d in enumerate(dim)]
    if not found:
        raise ArgumentError("dim has no axis, expected one at least (None means all)")
    if len({*found}) < len(found):
        raise ArgumentError(f"dim is {tuple(found)}, expected each axis once")
    return tuple(sorted(found))


def _reach(shape: tuple[int, ...], dims: tuple[int, ...], keep: bool) -> Any:
    """All rows, or columns, where these are reduced and stay an axis."""
    rows_columns = (len(shape) - 2, len(shape) - 1)
    if len(shape) < 2 or (not keep and {*rows_columns} & {*dims}):
        return None
    return tuple(adaptive_reach(shape[d], 1) if d in dims else Reach() for d in rows_columns)
