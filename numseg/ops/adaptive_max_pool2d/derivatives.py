"""Derivatives of adaptive_max_pool2d, and of all maxima with indices."""

from __future__ import annotations

import math
from typing import Any

from numseg.ops.max_unpool2d import max_unpool2d
from numseg.plan import Saved, Spec
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return at_indices(along["x"], saved.indices)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Linear around the point: no second derivative."""
    return {}


def at_indices(x: Array, indices: Array, index_layout: str = "hw") -> Array:
    """The pixel at each index; 0 where that is none. What max_unpool2d takes back."""
    n, c, h, w = x.shape
    flat = indices.reshape(n, c, 1, math.prod(indices.shape[2:]))
    how = {"index_layout": index_layout, "duplicates": "torch", "output_rule": "any"}
    spec = Spec(flat.shape, x.dtype)
    plan = max_unpool2d.plan(spec, Spec(flat.shape, flat.dtype), 1, output_size=(h, w), **how)
    (pixels,) = max_unpool2d.backward(max_unpool2d.saved_type(flat, plan), x)
    at: Array = pixels.reshape(indices.shape)
    return at
