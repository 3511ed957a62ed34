"""Derivatives of matmul, which is linear in each of its arrays."""

from __future__ import annotations

from typing import Any

from numseg.ops.matmul import matmul
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    total: Any = 0.0
    if along["x"] is not None:
        total = total + matmul(along["x"], saved.other)
    if along["other"] is not None:
        total = total + matmul(saved.x, along["other"])
    return total


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Any]:
    """Each gradient is linear in the other array alone."""
    found = {}
    if along["other"] is not None:
        moved = saved._replace(other=along["other"])
        found["x"] = matmul.backward(moved, grad_y, needs=["x"])[0]
    if along["x"] is not None:
        moved = saved._replace(x=along["x"])
        found["other"] = matmul.backward(moved, grad_y, needs=["other"])[1]
    return found
