"""nll_loss by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.nll_loss.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, target: Array, weight: Array | None, g: Geometry) -> tuple[Array, Array]:
    labels, kept, counts = _pixels(target, weight, g)
    own = np.take_along_axis(x.reshape(g.n, g.c, g.size), labels[:, None], 1)[:, 0] if g.c else 0.0
    losses = np.where(kept, -counts * own, 0.0)
    divisor = np.sum(counts) if g.mean else np.array(1.0)
    if g.per_pixel:
        return losses, divisor
    nothing = np.array(np.nan if g.empty_is_nan else 0.0)
    return losses.sum() / divisor if divisor != 0 else nothing, divisor


def backward(target: Array, weight: Array | None, divisor: Array, gy: Array, g: Geometry) -> Array:
    labels, kept, counts = _pixels(target, weight, g)
    grad = gy.reshape(g.n, g.size) if g.per_pixel else gy / divisor if divisor != 0 else 0.0
    onehot = (np.arange(g.c)[:, None] == labels[:, None]) & kept[:, None]  # (N, C, size)
    return np.where(onehot, (-counts * grad)[:, None], 0.0)


def _pixels(target: Array, weight: Array | None, g: Geometry) -> tuple[Array, Array, Array]:
    """The labels, 0 where they are ignored; which are not; and how much they count."""
    labels = target.reshape(g.n, g.size)
    kept = (labels != g.ignore_index) | (not g.ignores)
    labels = np.where(kept, labels, 0).astype(np.int64)
    weight = np.ones(g.c) if weight is None else weight
    return labels, kept, np.where(kept, weight[labels] if g.c else 0.0, 0.0)
