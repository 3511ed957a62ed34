"""What every function of boxes does first: view the arrays, check them, name itself in errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numseg import checks
from numseg.device import Host
from numseg.errors import ArgumentError
from numseg.ops import corners
from numseg.typing import Array, ArrayLike

P = ParamSpec("P")
R = TypeVar("R")

CORNERS = "x1, y1, x2, y2"


def named(function: Callable[P, R]) -> Callable[P, R]:
    """Errors begin with the function's name, as those of operators do."""
    return checks.named(f"boxes.{function.__name__}")(function)


def floats(**given: ArrayLike) -> list[Array]:
    """Arrays of one dtype, float32 or float64, in native order."""
    views = {name: Host.view(name, value) for name, value in given.items()}
    native = {name: v.astype(v.dtype.newbyteorder("="), copy=False) for name, v in views.items()}
    checks.floats(**native)
    return list(native.values())


def quadruples(name: str, array: Array) -> None:
    """Any leading axes, then four finite numbers."""
    corners.quadruples(name, array)
    corners.finite(name, array)


def rows(name: str, array: Array, count: int, of: str) -> None:
    """As many rows as another array has."""
    if array.shape[:1] != (count,):
        raise ArgumentError(f"{name} has shape {array.shape}, but there are {count} {of}")


def legacy(offset: Any) -> int:
    """0, or 1 where the last pixel belongs to the box: its width is ``x2 - x1 + 1``."""
    return checks.integer("offset", offset, 0, 1)
