"""Derivatives of binary_cross_entropy_with_logits."""

from __future__ import annotations

from collections.abc import Callable
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
    chosen, put_back = _of_label(saved)
    x, t = chosen(saved.x), saved.target
    above, below = sigmoid(x), sigmoid(-x)
    pos_weight = 1.0 if saved.pos_weight is None else saved.pos_weight
    factor = grad_y / saved.plan.geometry.divisor
    factor = factor if saved.weight is None else factor * saved.weight
    twice = factor * (1 - t + pos_weight * t) * above * below
    mixed = -factor * (above + pos_weight * below)
    gx: Any = 0.0
    gt: Any = 0.0
    if along["x"] is not None:
        step = chosen(along["x"])
        gx, gt = twice * step, mixed * step
    if along["target"] is not None:
        gx = gx + mixed * along["target"]
    return {"x": put_back(gx), "target": gt}


def _of_label(saved: Saved) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """What takes the class of each image's label out of an array of all, and the way back."""
    x, labels = saved.x, saved.labels
    if labels is None:
        return (lambda array: array), (lambda array: array)
    axes = (-1, *(1 for _ in x.shape[1:]))
    classes = np.arange(x.shape[1]).reshape(axes[:-1])
    onehot = labels.astype(x.dtype).reshape(axes) == classes
    return (
        lambda array: np.where(onehot, array, 0).sum(1),
        lambda array: np.where(onehot, array[:, None], 0),
    )
