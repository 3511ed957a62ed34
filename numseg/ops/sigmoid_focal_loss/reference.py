"""sigmoid_focal_loss by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.sigmoid_focal_loss.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, target: Array, g: Geometry) -> Array:
    p, rest, ce = _parts(x, target)
    wrong = p * (1 - target) + rest * target  # 1 - q
    losses = _alpha(target, g) * _times(wrong**g.gamma, ce)
    return losses if g.each else losses.sum() / g.divisor


def backward(x: Array, target: Array, gy: Array, g: Geometry) -> Array:
    p, rest, ce = _parts(x, target)
    wrong = p * (1 - target) + rest * target
    moves = np.where(wrong == 0, 0, p * rest * (1 - 2 * target) / wrong)
    slope = p * (1 - target) - rest * target  # p - t
    both = wrong**g.gamma * (slope + g.gamma * _times(moves, ce))
    return gy / g.divisor * _alpha(target, g) * both


def _parts(x: Array, target: Array) -> tuple[Array, Array, Array]:
    """sigmoid(x), sigmoid(-x) and the binary cross-entropy."""
    small = np.exp(-np.logaddexp(0, np.abs(x)))  # sigmoid(-|x|)
    p, rest = np.where(x > 0, 1 - small, small), np.where(x > 0, small, 1 - small)
    yes, no = _times(target, np.logaddexp(0, -x)), _times(1 - target, np.logaddexp(0, x))
    return p, rest, yes + no


def _alpha(target: Array, g: Geometry) -> Array:
    return g.yes * target + g.no * (1 - target)


def _times(factor: Array, value: Array) -> Array:
    """The product, and 0 where the factor is 0, whatever the value."""
    return np.where(factor == 0, 0, factor * value)
