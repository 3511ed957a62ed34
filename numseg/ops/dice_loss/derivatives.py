"""Derivatives of dice_loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.dice_loss.geometry import ACTIVATIONS, Geometry
from numseg.ops.sigmoid import sigmoid
from numseg.ops.softmax import softmax
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    """The quotient rule, with the sums that p's tangent makes."""
    g: Geometry = saved.plan.geometry
    x, step = (a.reshape(g.n, g.c, g.size) for a in (saved.x, along["x"]))
    p, moved = x, step
    if ACTIVATIONS[g.activation] == "softmax":
        p = softmax(x, dim=1)
        moved = p * (step - (p * step).sum(1, keepdims=True))
    elif ACTIVATIONS[g.activation] == "sigmoid":
        p = sigmoid(x)
        moved = p * (1 - p) * step
    if g.labels:
        labels = saved.target.reshape(g.n, 1, g.size).astype(np.float64)
        counted = (labels != g.ignore_index) | (not g.ignores)
        t = np.where(counted, labels, -1).astype(x.dtype) == np.arange(g.c)[:, None]
        moved = np.where(counted, moved, 0)
    else:
        t = saved.target.reshape(p.shape)
    gone = tuple(axis for axis, summed in enumerate((g.batch, g.micro)) if summed)

    def grouped(table: Array) -> Array:
        return table.sum(gone, keepdims=True)

    both = grouped((moved * t).sum(-1, dtype=np.float64))
    size = grouped((2 * p * moved if g.squared else moved).sum(-1, dtype=np.float64))
    sums = grouped(saved.sums)
    above, below = 2 * sums[..., 0] + g.smooth_nr, sums[..., 1] + sums[..., 2] + g.smooth_dr
    losses = (above / below * size - 2 * both) / below
    return losses.reshape(saved.plan.outputs[0].shape) if g.each else losses.sum() / g.divisor
