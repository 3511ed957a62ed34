"""Derivatives of cross_entropy."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import reductions
from numseg.ops.cross_entropy import cross_entropy
from numseg.ops.cross_entropy.geometry import Geometry
from numseg.ops.softmax import softmax
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return reductions.jvp(cross_entropy, saved, along)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of ``factor h(p[t]) (p - onehot) + even (p sum(w) - w)``, for ``p = softmax(x)``."""
    g: Geometry = saved.plan.geometry
    if g.c == 0:
        return {}
    target = saved.target.reshape(g.n, 1, g.size).astype(np.float64)
    counted = (target != g.ignore_index) | (not g.ignores)
    onehot = np.where(counted, target, -1).astype(saved.x.dtype) == np.arange(g.c)[:, None]
    weight = np.ones(g.c) if saved.weight is None else saved.weight
    grad = grad_y.reshape(g.n, 1, g.size) if g.per_pixel else grad_y
    grad = np.where(saved.divisor != 0, grad / saved.divisor, 0)
    p = softmax(saved.x, dim=1).reshape(g.n, g.c, g.size)
    step = along["x"].reshape(p.shape)
    moved = p * (step - (p * step).sum(1, keepdims=True))  # of p

    def right(a: Array) -> Any:
        """That of the label; 0 where that does not count."""
        return np.where(onehot, a, 0).sum(1, keepdims=True)

    factor = (1 - g.smoothing) * grad * right(weight.reshape(-1, 1))
    h, slope = _focus(right(p), g.gamma)
    even = g.smoothing / g.c * grad * weight.sum()
    found = (factor * h + even) * moved + factor * slope * right(moved) * (p - onehot)
    return {"x": np.where(counted, found, 0).reshape(saved.x.shape)}


def _focus(p: Array, gamma: float) -> tuple[Array, Array]:
    """``h(p) = (1 - p)**gamma - gamma p (1 - p)**(gamma - 1) log p`` and its derivative."""
    if gamma == 0:
        return np.ones_like(p), np.zeros_like(p)
    p = np.clip(p, np.finfo(p.dtype).tiny, 1 - np.finfo(p.dtype).epsneg)  # finite at the ends
    wrong, log = 1 - p, np.log(p)
    less = gamma * wrong ** (gamma - 1)
    bent = gamma * (gamma - 1) * p * wrong ** (gamma - 2) * log
    return wrong**gamma - less * p * log, bent - less * (2 + log)
