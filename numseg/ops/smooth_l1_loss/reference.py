"""smooth_l1_loss by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.smooth_l1_loss.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, target: Array, g: Geometry) -> Array:
    d = x - target
    quadratic = np.abs(d) < g.beta  # nowhere, if beta is 0
    parabola = 0.5 * d**2 / g.beta if g.beta else 0.0
    losses = g.scale * np.where(quadratic, parabola, np.abs(d) - g.beta / 2)
    return losses if g.each else losses.sum() / g.divisor


def backward(x: Array, target: Array, gy: Array, g: Geometry) -> tuple[Array, Array]:
    d = x - target
    slope = np.where(np.abs(d) < g.beta, d / g.beta if g.beta else 0.0, np.sign(d))
    gx = gy / g.divisor * (g.scale * slope)
    return gx, -gx
