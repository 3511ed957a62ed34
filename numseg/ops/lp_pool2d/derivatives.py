"""Derivatives of lp_pool2d: y = s**(1/p), where s is a window's sum of powers.

The sums are a convolution of each plane with ones, and what they give back is its gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.faces import widen
from numseg.ops.conv2d import conv2d
from numseg.ops.lp_pool2d import reference
from numseg.ops.lp_pool2d.geometry import Geometry
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    g, x, v = saved.plan.geometry, widen(saved.x), widen(along["x"])
    scale = scales(g)
    slope = reference.outer_slopes(scale * sums(reference.powers(x, g), g)[0], g) * scale
    return slope * sums(reference.inner_slopes(x, g) * v, g)[0]


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of ``<grad_y, jvp>`` with v the tangent of x: both slopes move."""
    g, x, v = saved.plan.geometry, widen(saved.x), widen(along["x"])
    if g.p == 1:
        return {}
    scale, slopes = scales(g), reference.inner_slopes(x, g)
    bends = (g.p - 1) * (np.abs(x) if g.absolute else x) ** (g.p - 2) * v
    s = scale * sums(reference.powers(x, g), g)[0]
    bend = np.where(s == 0, 0.0, (1 - g.p) * s ** (1 / g.p - 2)) * scale**2
    within, windows = sums(slopes * v, g)
    through = returned(windows, grad_y * reference.outer_slopes(s, g) * scale)
    return {"x": through * bends + returned(windows, grad_y * bend * within) * slopes}


def scales(g: Geometry) -> Array:
    """What each window is scaled by."""
    found = np.ones((g.oh, g.ow))
    for (_, _, p, q), _, scale in reference.windows(g):
        found[p, q] = scale
    return found


def sums(values: Array, g: Geometry) -> tuple[Any, Any]:
    """Of each window, and what :func:`returned` needs."""
    sides = [
        (before, max((o - 1) * s + k - before - i, 0))
        for i, o, k, s, before in ((g.h, g.oh, g.kh, g.sy, g.pt), (g.w, g.ow, g.kw, g.sx, g.pl))
    ]
    planes = values.reshape(g.n * g.c, 1, g.h, g.w)
    ones = np.ones_like(values, shape=(1, 1, g.kh, g.kw))
    total, saved = conv2d.forward(planes, ones, stride=(g.sy, g.sx), padding=tuple(sides))
    return total.reshape(g.n, g.c, g.oh, g.ow), saved


def returned(windows: Any, values: Array) -> Array:
    """To each pixel, the sum of what the windows that it is in have: in the shape of x."""
    plan = windows.plan
    (gradient, *_) = conv2d.backward(windows, values.reshape(plan.outputs[0].shape), needs=["x"])
    shape = values.shape[0], values.shape[1], *gradient.shape[2:]
    result: Array = gradient.reshape(shape)
    return result
