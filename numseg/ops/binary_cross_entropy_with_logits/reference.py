"""binary_cross_entropy_with_logits by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.binary_cross_entropy_with_logits.geometry import Geometry
from numseg.typing import Array


def forward(
    x: Array,
    target: Array,
    weight: Array | None,
    pos_weight: Array | None,
    labels: Array | None,
    g: Geometry,
) -> Array:
    x, yes, no = _chosen(x, labels), *_factors(target, weight, pos_weight)
    losses = _times(yes, np.logaddexp(0, -x)) + _times(no, np.logaddexp(0, x))
    return losses if g.each else losses.sum() / g.divisor


def backward(
    x: Array,
    target: Array,
    weight: Array | None,
    pos_weight: Array | None,
    labels: Array | None,
    gy: Array,
    g: Geometry,
) -> tuple[Array, Array]:
    scores, gy = _chosen(x, labels), gy / g.divisor
    yes, no = _factors(target, weight, pos_weight)
    small = np.exp(-np.logaddexp(0, np.abs(scores)))  # sigmoid(-|x|)
    above, below = (np.where(s > 0, 1 - small, small) for s in (scores, -scores))
    grad = gy * (no * above - yes * below)
    if labels is None:
        gx = grad
    else:
        gx = np.zeros_like(x)
        gx[np.arange(len(x)), labels] = grad
    weight = np.ones(()) if weight is None else weight
    pos_weight = np.ones(()) if pos_weight is None else pos_weight
    slope = _times(weight * pos_weight, np.logaddexp(0, -scores))
    return gx, gy * (slope - _times(weight, np.logaddexp(0, scores)))


def _chosen(x: Array, labels: Array | None) -> Array:
    """The logits that count."""
    return x if labels is None else x[np.arange(len(x)), labels]


def _factors(target: Array, weight: Array | None, pos_weight: Array | None) -> tuple[Array, Array]:
    """What yes and no are multiplied by."""
    weight = np.ones(()) if weight is None else weight
    pos_weight = np.ones(()) if pos_weight is None else pos_weight
    return weight * pos_weight * target, weight * (1 - target)


def _times(factor: Array, value: Array) -> Array:
    """The product, and 0 where the factor is 0, whatever the value."""
    return np.where(factor == 0, 0, factor * value)
