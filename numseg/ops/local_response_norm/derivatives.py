"""Derivatives of local_response_norm.

With ``s = k + scale W(x**2)``, where W sums over windows, y = x s**-beta moves along v by
``v s**-beta - 2 scale beta x s**-(beta + 1) W(x v)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.local_response_norm import reference
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g = saved.plan.geometry
    x, v = _planes(saved.x, saved), _planes(along["x"], saved)
    s = reference.scales(x, g)
    within = reference.window_sums(x * v, g.before, g.after)
    moved = v / s**g.beta - 2 * g.scale * g.beta * x * within / s ** (g.beta + 1)
    return moved.reshape(saved.x.shape)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of ``<grad_y, jvp>`` with v the tangent of x: s moves too, by ``2 scale W(x ...)``."""
    g = saved.plan.geometry
    x, v, gy = (_planes(a, saved) for a in (saved.x, along["x"], grad_y))
    s = reference.scales(x, g)
    within = reference.window_sums(x * v, g.before, g.after)

    def spread(values: Array) -> Array:  # the transpose of W
        return reference.window_sums(values, g.after, g.before)

    slope = 2 * g.scale * g.beta
    first, second = s ** -(g.beta + 1), s ** -(g.beta + 2)
    found = -slope * (x * spread(gy * v * first) + gy * first * within + v * spread(gy * x * first))
    found += slope * 2 * g.scale * (g.beta + 1) * x * spread(gy * x * second * within)
    return {"x": found.reshape(saved.x.shape)}


def _planes(array: Array, saved: Saved) -> Array:
    g = saved.plan.geometry
    return array.astype(np.float64).reshape(g.n, g.c, g.size)
