"""cross_entropy by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.cross_entropy.geometry import Geometry
from numseg.typing import Array


def forward(
    x: Array, target: Array, weight: Array | None, g: Geometry
) -> tuple[Array, Array, Array, Array]:
    x = x.reshape(g.n, g.c, g.size)
    largest = x.max(1, initial=-np.inf)
    total = np.exp(x - largest[:, None]).sum(1)
    counts, labels = _counts(target, weight, g)
    losses = np.log(total)[:, None] + (largest[:, None] - x)  # of every class
    loss = np.take_along_axis(losses, labels[:, None], 1)[:, 0] if g.c else largest
    wrong, _ = _others(x, labels, largest, total)
    loss = (1 - g.smoothing) * counts * wrong**g.gamma * np.minimum(loss, g.worst)
    if g.smoothing:
        weight = np.ones(g.c) if weight is None else weight
        loss = loss + g.smoothing / max(g.c, 1) * (weight[:, None] * losses).sum(1)
    loss = np.where(_ignored(target, g), 0, loss)
    divisor = np.array(g.divisor)
    if g.mean:
        divisor = counts.sum()
    elif g.valid:
        divisor = np.maximum(1.0, np.count_nonzero(~_ignored(target, g)))
    if g.per_pixel:
        return loss, largest, total, divisor
    nothing = np.array(np.nan if g.empty_is_nan else 0.0)
    return loss.sum() / divisor if divisor != 0 else nothing, largest, total, divisor


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
    gy = gy / divisor + 0 * counts if divisor != 0 else 0 * counts
    wrong, right = _others(x, labels, largest, total)
    ratio = np.where(wrong > 0, -np.log(right) / wrong, 1)  # in the limit
    focus = wrong**g.gamma * (1 + g.gamma * np.where(right > 0, right * ratio, right))
    factor = ((1 - g.smoothing) * gy * counts)[:, None]
    grad = np.where(factor != 0, factor * focus[:, None] * (softmax - onehot), 0)
    if g.smoothing:
        weight = (np.ones(g.c) if weight is None else weight)[:, None]
        factor = g.smoothing / max(g.c, 1) * np.where(_ignored(target, g), 0, gy)[:, None]
        grad = grad + np.where(factor != 0, factor * (softmax * weight.sum() - weight), 0)
    return grad


def _others(x: Array, labels: Array, largest: Array, total: Array) -> tuple[Array, Array]:
    """The share of all classes but the label's, and of that."""
    exps = np.exp(x - largest[:, None])
    onehot = np.arange(x.shape[1])[:, None] == labels[:, None]
    return (np.where(onehot, 0, exps).sum(1) / total, np.where(onehot, exps, 0).sum(1) / total)


def _ignored(target: Array, g: Geometry) -> Array:
    ignored: Array = (target == g.ignore_index) & g.ignores
    return ignored.reshape(g.n, g.size)


def _counts(target: Array, weight: Array | None, g: Geometry) -> tuple[Array, Array]:
    """How much each pixel counts, 0 where it is ignored, and its label, there 0."""
    ignored = _ignored(target, g)
    labels = np.where(ignored, 0, target.reshape(g.n, g.size))
    weight = np.ones(g.c) if weight is None else weight
    return np.where(ignored, 0, weight[labels] if g.c else 0.0), labels
