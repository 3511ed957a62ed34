"""The derivative of grid_sample: that by x is itself, that by the grid a slope for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.grid_sample import grid_sample
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    (y,) = saved.plan.outputs
    total: Any = 0.0
    if along["x"] is not None:
        total = grid_sample(along["x"], saved.grid, **saved.plan.parameters)
    if along["grid"] is not None and y.size:
        moved = []
        for c in range(y.shape[1]):
            channel = np.arange(y.shape[1])[:, None, None] == c
            one = np.where(channel, np.ones_like(saved.x, shape=y.shape), 0)
            slopes = grid_sample.backward(saved, one, needs=["grid"])[1]
            moved.append((slopes * along["grid"]).sum(-1))
        total = total + np.stack(moved, 1)
    return total
