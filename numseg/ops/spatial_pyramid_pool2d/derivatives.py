"""Derivatives of spatial_pyramid_pool2d: of means the means, of maxima what is at the indices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg.ops.adaptive_max_pool2d.derivatives import at_indices
from numseg.ops.spatial_pyramid_pool2d import spatial_pyramid_pool2d
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g = saved.plan.geometry
    if not g.maximum:
        return spatial_pyramid_pool2d(along["x"], **saved.plan.parameters)  # type: ignore[return-value]
    ends = g.offsets()
    parts = [
        at_indices(along["x"], saved.indices[:, start:end].reshape(g.n, g.c, n, n))
        for n, start, end in zip(g.levels, ends, ends[1:], strict=False)
    ]
    return np.concatenate([part.reshape(g.n, math.prod(part.shape[1:])) for part in parts], 1)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Linear around the point: no second derivative."""
    return {}
