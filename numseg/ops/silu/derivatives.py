"""Derivatives of silu: a number's derivative is its slope, in both directions."""

from __future__ import annotations

from typing import Any

from numseg.ops.sigmoid import sigmoid
from numseg.ops.silu import silu
from numseg.typing import Array


def jvp(saved: Any, along: dict[str, Any]) -> Array:
    gradient: Array = silu.backward(saved, along["x"])[0]
    return gradient


def double_backward(saved: Any, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """With s = sigmoid(x), of s + x s (1 - s): s (1 - s) (2 + x (1 - 2 s))."""
    if along["x"] is None:
        return {}
    s = sigmoid(saved.x)
    return {"x": grad_y * along["x"] * (s * (1 - s) * (2 + saved.x * (1 - 2 * s)))}
