"""Derivatives of conv_transpose2d, which is linear in (x, b) and in (w, b)."""

from __future__ import annotations

from typing import Any

from numseg.ops.conv_transpose2d import conv_transpose2d
from numseg.typing import Array


def jvp(saved: Any, along: dict[str, Any]) -> Array:
    how = saved.plan.parameters
    total: Any = 0.0
    if along["x"] is not None:
        total = total + conv_transpose2d(along["x"], saved.w, **how)
    if along["w"] is not None:
        total = total + conv_transpose2d(saved.x, along["w"], **how)
    if along["b"] is not None:
        total = total + along["b"][:, None, None]
    return total


def double_backward(saved: Any, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of <grad_y, f(along x, w) + f(x, along w)>: each factor's gradient, by backward."""
    found = {}
    if along["x"] is not None:
        at = saved._replace(x=along["x"])
        found["w"] = conv_transpose2d.backward(at, grad_y, needs=["w"])[1]
    if along["w"] is not None:
        at = saved._replace(w=along["w"])
        found["x"] = conv_transpose2d.backward(at, grad_y, needs=["x"])[0]
    return found
