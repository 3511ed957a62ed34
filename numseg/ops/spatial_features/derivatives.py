"""Derivatives of spatial_features: those of bilateral_features without colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.bilateral_features.derivatives import curvature, tangent
from numseg.ops.spatial_features import spatial_features
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return tangent(_again(saved), saved.width, along)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    return curvature(_again(saved), saved.width, grad_y, along)


def _again(saved: Saved) -> Array:
    """The features, of an image of that size."""
    g = saved.plan.geometry
    image = np.zeros_like(saved.width, shape=(1, 0, g.h, g.w))
    return spatial_features(image, saved.width)
