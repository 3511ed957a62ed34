"""Derivatives of lp_pool2d: y = s**(1/p), where s is a window's sum of powers."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.lp_pool2d import reference
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g, x, v = saved.plan.geometry, *(a.astype(np.float64) for a in (saved.x, along["x"]))
    moved = np.zeros((g.n, g.c, g.oh, g.ow))
    slopes = reference.inner_slopes(x, g) * v
    for place, pixels, scale in reference.windows(g):
        s = scale * reference.powers(x[pixels], g).sum((2, 3))
        moved[place] = reference.outer_slopes(s, g) * scale * slopes[pixels].sum((2, 3))
    return moved


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of ``<grad_y, jvp>`` with v the tangent of x: both slopes move."""
    g, x, v = saved.plan.geometry, *(a.astype(np.float64) for a in (saved.x, along["x"]))
    found = np.zeros_like(x)
    if g.p == 1:
        return {"x": found}
    slopes = reference.inner_slopes(x, g)
    bends = (g.p - 1) * (np.abs(x) if g.absolute else x) ** (g.p - 2) * v
    for place, pixels, scale in reference.windows(g):
        s = scale * reference.powers(x[pixels], g).sum((2, 3))
        slope = reference.outer_slopes(s, g) * scale
        bend = np.where(s == 0, 0.0, (1 - g.p) * s ** (1 / g.p - 2)) * scale**2
        within = (slopes[pixels] * v[pixels]).sum((2, 3))
        of_window = (grad_y[place] * slope)[..., None, None] * bends[pixels]
        found[pixels] += (
            of_window + (grad_y[place] * bend * within)[..., None, None] * slopes[pixels]
        )
    return {"x": found}
