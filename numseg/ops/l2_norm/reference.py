"""l2_norm by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.l2_norm.geometry import EPS_RULES, Geometry
from numseg.typing import Array


def forward(x: Array, weight: Array | None, g: Geometry) -> tuple[Array, Array]:
    x = x.reshape(g.n, g.c, g.size)
    norm = np.sqrt((x**2).sum(1))
    d = _divisor(norm, g)[:, None]
    y = np.where(d == 0, 0.0, x / d)
    return (y if weight is None else y * weight[:, None]), norm


def backward(
    x: Array, weight: Array | None, norm: Array, gy: Array, g: Geometry
) -> tuple[Array, Array]:
    """d moves along x / norm, by ``d' = dd / dnorm``: of z = x / d the derivative along v is
    ``v / d - x d' <x, v> / (norm d**2)``, a symmetric matrix for each pixel."""
    x, gy = x.reshape(g.n, g.c, g.size), gy.reshape(g.n, g.c, g.size)
    norm = norm.reshape(g.n, 1, g.size)
    d = _divisor(norm, g)
    gz = gy if weight is None else gy * weight[:, None]
    moving = (norm >= g.eps) | (EPS_RULES[g.rule] != "max")
    slope = norm / d if EPS_RULES[g.rule] == "inside" else 1.0
    pull = np.where(moving & (norm > 0), slope / (norm * d**2), 0.0)
    over_d = np.where(d == 0, 0.0, 1 / d)
    gx = gz * over_d - x * pull * (x * gz).sum(1, keepdims=True)
    return gx, (gy * x * over_d).sum((0, 2))


def _divisor(norm: Array, g: Geometry) -> Array:
    if EPS_RULES[g.rule] == "max":
        return np.maximum(norm, g.eps)
    return np.sqrt(norm**2 + g.eps) if EPS_RULES[g.rule] == "inside" else norm + g.eps
