"""Derivatives of sigmoid: a number's derivative is its slope, in both directions."""

from __future__ import annotations

from typing import Any

from numseg.ops.sigmoid import sigmoid
from numseg.typing import Array


def jvp(saved: Any, along: dict[str, Any]) -> Array:
    gradient: Array = sigmoid.backward(saved, along["x"])[0]
    return gradient


def double_backward(saved: Any, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of grad_y y (1 - y), with y moving along y (1 - y)."""
    if along["x"] is None:
        return {}
    y = saved.y
    return {"x": grad_y * along["x"] * (y * (1 - y) * (1 - 2 * y))}
