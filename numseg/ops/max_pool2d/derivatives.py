"""Derivatives of max_pool2d: the tangent at the indices, or the share of each that is tied."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.adaptive_max_pool2d.derivatives import at_indices
from numseg.ops.pad import pad
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g, x = saved.plan.geometry, along["x"]
    if not g.shared:
        return at_indices(x, saved.indices, saved.plan.parameters["index_layout"])
    marks = saved.tied.astype(x.dtype)
    rows, columns = (
        (o - 1) * s + (k - 1) * d + 1
        for o, k, s, d in ((g.oh, g.kh, g.sy, g.dy), (g.ow, g.kw, g.sx, g.dx))
    )
    padded = pad(x, (g.pt, max(rows - g.pt - g.h, 0), g.pl, max(columns - g.pl - g.w, 0)))
    total = np.zeros_like(x, shape=saved.indices.shape)
    for i, j in np.ndindex(g.kh, g.kw):
        down = slice(i * g.dy, i * g.dy + (g.oh - 1) * g.sy + 1, g.sy)
        across = slice(j * g.dx, j * g.dx + (g.ow - 1) * g.sx + 1, g.sx)
        # where a tap is not on the image, its mark is 0
        total = total + np.where(marks[..., i * g.kw + j], padded[:, :, down, across], 0)
    return total / np.maximum(marks.sum(-1), 1) if g.split else total


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Linear around the point: no second derivative."""
    return {}
