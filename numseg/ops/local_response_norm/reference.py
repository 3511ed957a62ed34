"""local_response_norm by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.local_response_norm.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    x = x.reshape(g.n, g.c, g.size)
    return x / scales(x, g) ** g.beta


def backward(x: Array, gy: Array, g: Geometry) -> Array:
    """y moves along its own x, and along the squares of a window: 2 x each."""
    x, gy = x.reshape(g.n, g.c, g.size), gy.reshape(g.n, g.c, g.size)
    s = scales(x, g)
    through = window_sums(gy * x / s ** (g.beta + 1), g.after, g.before)
    return gy / s**g.beta - 2 * g.scale * g.beta * x * through


def scales(x: Array, g: Geometry) -> Array:
    """What is raised to beta."""
    return g.k + g.scale * window_sums(x**2, g.before, g.after)


def window_sums(values: Array, before: int, after: int) -> Array:
    """Of each channel, the sum with so many channels before and after it."""
    padded = np.pad(values, ((0, 0), (before, after), (0, 0)))
    total = np.zeros_like(values)
    for t in range(before + after + 1):
        total += padded[:, t : t + values.shape[1]]
    return total
