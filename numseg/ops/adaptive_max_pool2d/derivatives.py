"""Derivatives of adaptive_max_pool2d, and of all maxima with indices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return at_indices(along["x"], saved.indices)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Linear around the point: no second derivative."""
    return {}


def at_indices(x: Array, indices: Array) -> Array:
    """The pixel at each flat index in its plane; 0 where that is none."""
    n, c, h, w = x.shape
    flat = indices.reshape(n, c, math.prod(indices.shape[2:]))
    inside = (flat >= 0) & (flat < h * w)
    pixels = np.take_along_axis(x.reshape(n, c, h * w), np.where(inside, flat, 0), -1)
    return np.where(inside, pixels, 0).reshape(indices.shape)
