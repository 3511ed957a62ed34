"""Derivatives of max_pool2d: the tangent at the indices, or the share of each that is tied."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.adaptive_max_pool2d.derivatives import at_indices
from numseg.ops.max_pool2d.reference import places
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g, x = saved.plan.geometry, along["x"]
    if not g.shared:
        return at_indices(x, places(saved.indices, g))
    marks = saved.tied != 0
    total = np.zeros(saved.indices.shape, x.dtype)
    for i, j in np.ndindex(g.kh, g.kw) if x.size else ():
        # where a tap is not on the image, its mark is 0
        rows = np.clip(np.arange(g.oh) * g.sy - g.pt + i * g.dy, 0, g.h - 1)
        columns = np.clip(np.arange(g.ow) * g.sx - g.pl + j * g.dx, 0, g.w - 1)
        total += np.where(marks[..., i * g.kw + j], x[:, :, rows[:, None], columns], 0)
    return total / np.maximum(marks.sum(-1), 1) if g.split else total


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Linear around the point: no second derivative."""
    return {}
