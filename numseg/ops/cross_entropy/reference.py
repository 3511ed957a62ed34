"""cross_entropy by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.cross_entropy import Geometry
from numseg.typing import Array


def forward(
    x: Array, target: Array, weight: Array | None, g: Geometry
) -> tuple[Array, Array, Array, Array]:
    x = x.reshape(g.n, g.c, g.size)
    largest = x.max(1, initial=-np.inf)
    total = np.exp(x - largest[:, None]).sum(1)
    counts, labels = _counts(target, weight, g)
    score = np.take_along_axis(x, labels[:, None], 1)[:, 0] if g.c else largest
    loss = np.where(_ignored(target, g), 0, counts * (np.log(total) + (largest - score)))
    divisor = counts.sum() if g.mean else np.array(1.0)
    if g.per_pixel:
        return loss, largest, total, divisor
    return loss.sum() / divisor if divisor != 0 else np.array(0.0), largest, total, divisor


def backward(
    x: Array,
    target: Array,
    weight: Array | None,
    largest: Array,
    total: Array,
    divisor: Array,
    gy: Array,
    g: Geometry,
) -> Array:
    x = x.reshape(g.n, g.c, g.size)
    counts, labels = _counts(target, weight, g)
    onehot = np.arange(g.c)[:, None] == labels[:, None]  # (N, C, size)
    softmax = np.exp(x - largest[:, None]) / total[:, None]
    gy = gy.reshape(g.n, g.size) if g.per_pixel else gy
    factor = (gy * counts / divisor if divisor != 0 else 0 * counts)[:, None]
    return np.where(factor != 0, factor * (softmax - onehot), 0)


def _ignored(target: Array, g: Geometry) -> Array:
    ignored: Array = (target == g.ignore_index) & g.ignores
    return ignored.reshape(g.n, g.size)


def _counts(target: Array, weight: Array | None, g: Geometry) -> tuple[Array, Array]:
    """How much each pixel counts, 0 where it is ignored, and its label, there 0."""
    ignored = _ignored(target, g)
    labels = np.where(ignored, 0, target.reshape(g.n, g.size))
    weight = np.ones(g.c) if weight is None else weight
    return np.where(ignored, 0, weight[labels] if g.c else 0.0), labels
