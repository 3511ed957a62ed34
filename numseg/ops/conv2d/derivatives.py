"""Derivatives of conv2d, which is linear in (x, bias) and in (weight, bias)."""

from __future__ import annotations

from typing import Any

from numseg.ops import products
from numseg.ops.conv2d import conv2d
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return products.jvp(conv2d, saved, along, bias_axes=2)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    return products.double_backward(conv2d, saved, grad_y, along)
