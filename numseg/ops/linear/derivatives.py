"""Derivatives of linear, which is linear in (x, bias) and in (weight, bias)."""

from __future__ import annotations

from typing import Any

from numseg.ops import products
from numseg.ops.linear import linear
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return products.jvp(linear, saved, along, bias_axes=0)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    return products.double_backward(linear, saved, grad_y, along)
