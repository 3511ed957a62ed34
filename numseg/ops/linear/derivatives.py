"""Derivatives of linear, which is linear in (x, b) and in (w, b)."""

from __future__ import annotations

from typing import Any

from numseg.ops.linear import linear
from numseg.typing import Array


def jvp(saved: Any, along: dict[str, Any]) -> Array:
    total: Any = 0.0
    if along["x"] is not None:
        total = total + linear(along["x"], saved.w)
    if along["w"] is not None:
        total = total + linear(saved.x, along["w"])
    if along["b"] is not None:
        total = total + along["b"]
    return total


def double_backward(saved: Any, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of <grad_y, linear(along x, w) + linear(x, along w)>: each factor's gradient, by backward."""
    found = {}
    if along["x"] is not None:
        at = saved._replace(x=along["x"])
        found["w"] = linear.backward(at, grad_y, needs=["w"])[1]
    if along["w"] is not None:
        at = saved._replace(w=along["w"])
        found["x"] = linear.backward(at, grad_y, needs=["x"])[0]
    return found
