"""Derivatives of bilateral_features: ``y = v / width`` of positions and colours v."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.bilateral_features import bilateral_features
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return tangent(bilateral_features(saved.x, saved.width), saved.width, along)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of the sum of ``grad_y (dv / width - v dwidth / width**2)``."""
    y = bilateral_features(saved.x, saved.width)
    return curvature(y, saved.width, grad_y, along)


def tangent(y: Array, width: Array, along: dict[str, Any]) -> Array:
    """``dv / width - y dwidth / width``."""
    dx, dw = along.get("x"), along["width"]
    result = np.zeros_like(y)
    if dx is not None:
        result[:, 2:] += dx / width[2:, None, None]
    if dw is not None:
        result -= y * (dw / width)[:, None, None]
    return result


def curvature(y: Array, width: Array, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    dx, dw = along.get("x"), along["width"]
    found = {"x": np.zeros_like(y[:, 2:]), "width": np.zeros_like(width)}
    if dx is not None:
        found["width"][2:] -= (grad_y[:, 2:] * dx).sum((0, 2, 3)) / width[2:] ** 2
    if dw is not None:
        by = dw / width**2
        found["x"] -= grad_y[:, 2:] * by[2:, None, None]
        found["width"] += 2 * by * (grad_y * y).sum((0, 2, 3))
    return found
