"""Derivatives of binary_cross_entropy_with_logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg import reductions
from numseg.ops.binary_cross_entropy_with_logits import binary_cross_entropy_with_logits
from numseg.ops.sigmoid import sigmoid
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    return reductions.jvp(binary_cross_entropy_with_logits, saved, along)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of ``no * sigmoid(x) - yes * sigmoid(-x)``, with ``no = w (1 - t)`` and ``yes = w pw t``."""
    x, t, labels = saved.x, saved.target, saved.labels
    chosen: Any = ... if labels is None else (np.arange(len(x)), labels)
    above, below = sigmoid(x[chosen]), sigmoid(-x[chosen])
    pos_weight = 1.0 if saved.pos_weight is None else saved.pos_weight
    factor = grad_y / saved.plan.geometry.divisor
    factor = factor if saved.weight is None else factor * saved.weight
    twice = factor * (1 - t + pos_weight * t) * above * below
    mixed = -factor * (above + pos_weight * below)
    gx, gt = np.zeros_like(x), np.zeros_like(t)
    if along["x"] is not None:
        gx[chosen] += twice * along["x"][chosen]
        gt += mixed * along["x"][chosen]
    if along["target"] is not None:
        gx[chosen] += mixed * along["target"]
    return {"x": gx, "target": gt}
