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
    total: Any = 0.0
    if dx is not None:  # positions stay where they are
        total = np.concatenate([np.zeros_like(y[:, :2]), dx / width[2:, None, None]], 1)
    if dw is not None:
        total = total - y * (dw / width)[:, None, None]
    return total


def curvature(y: Array, width: Array, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    dx, dw = along.get("x"), along["width"]
    found: dict[str, Any] = {"x": 0.0, "width": 0.0}
    if dx is not None:
        colours = (grad_y[:, 2:] * dx).sum((0, 2, 3)) / width[2:] ** 2
        found["width"] = np.concatenate([np.zeros_like(width[:2]), -colours])
    if dw is not None:
        by = dw / width**2
        found["x"] = -grad_y[:, 2:] * by[2:, None, None]
        found["width"] = found["width"] + 2 * by * (grad_y * y).sum((0, 2, 3))
    return found
