"""Derivatives of local_response_norm.

With ``s = k + scale W(x**2)``, where W sums over windows, y = x s**-beta moves along v by
``v s**-beta - 2 scale beta x s**-(beta + 1) W(x v)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.faces import widen
from numseg.ops.conv2d import conv2d
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g = saved.plan.geometry
    x, v = _planes(saved.x, saved), _planes(along["x"], saved)
    s = g.k + g.scale * window_sums(x**2, g.before, g.after)
    within = window_sums(x * v, g.before, g.after)
    moved = v / s**g.beta - 2 * g.scale * g.beta * x * within / s ** (g.beta + 1)
    return moved.reshape(saved.x.shape)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of ``<grad_y, jvp>`` with v the tangent of x: s moves too, by ``2 scale W(x ...)``."""
    g = saved.plan.geometry
    x, v, gy = (_planes(a, saved) for a in (saved.x, along["x"], grad_y))
    s = g.k + g.scale * window_sums(x**2, g.before, g.after)
    within = window_sums(x * v, g.before, g.after)

    def spread(values: Array) -> Array:  # the transpose of W
        return window_sums(values, g.after, g.before)

    slope = 2 * g.scale * g.beta
    first, second = s ** -(g.beta + 1), s ** -(g.beta + 2)
    found = -slope * (x * spread(gy * v * first) + gy * first * within + v * spread(gy * x * first))
    found = found + slope * 2 * g.scale * (g.beta + 1) * x * spread(gy * x * second * within)
    return {"x": found.reshape(saved.x.shape)}


def _planes(array: Array, saved: Saved) -> Array:
    g = saved.plan.geometry
    return widen(array).reshape(g.n, g.c, g.size)


def window_sums(values: Array, before: int, after: int) -> Array:
    """Of each channel, the sum with so many channels before and after it: a convolution of the
    channels as rows."""
    n, c, size = values.shape
    if not values.size:
        return values
    ones = np.ones_like(values, shape=(1, 1, before + after + 1, 1))
    sums: Array = conv2d(values.reshape(n, 1, c, size), ones, padding=(before, after, 0, 0))
    return sums.reshape(n, c, size)
