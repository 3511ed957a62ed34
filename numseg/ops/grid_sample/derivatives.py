"""The derivative of grid_sample: that by x is itself, that by the grid a slope for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.grid_sample import grid_sample
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    (y,) = saved.plan.outputs
    total: Any = np.zeros(y.shape)
    if along["x"] is not None:
        total += grid_sample(along["x"], saved.grid, **saved.plan.parameters)
    if along["grid"] is not None:
        for c in range(y.shape[1]):
            one = np.zeros(y.shape, saved.x.dtype)
            one[:, c] = 1
            slopes = grid_sample.backward(saved, one, needs=["grid"])[1]
            total[:, c] += (slopes * along["grid"]).sum(-1)
    return total
