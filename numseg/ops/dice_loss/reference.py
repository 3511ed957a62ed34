"""dice_loss by its definition."""

from __future__ import annotations

import numpy as np

from numseg.ops.dice_loss.geometry import ACTIVATIONS, Geometry
from numseg.typing import Array


def forward(x: Array, target: Array, g: Geometry) -> tuple[Array, Array]:
    p, t, counted = _probabilities(x, g), *_masks(target, g)
    p = np.where(counted, p, 0)
    sizes = (p**2, t**2) if g.squared else (p, t)
    sums = np.stack([(p * t).sum(-1), *(size.sum(-1) for size in sizes)], -1)
    above, below = _quotient(sums, g)
    losses = 1 - above / below
    if g.each:
        kept = tuple(0 if gone else slice(None) for gone in (g.batch, g.micro))
        return np.asarray(losses[kept]), sums
    return losses.sum() / g.divisor, sums


def backward(x: Array, target: Array, sums: Array, gy: Array, g: Geometry) -> Array:
    p, t, counted = _probabilities(x, g), *_masks(target, g)
    above, below = (a[:, :, None] for a in _quotient(sums, g))
    if g.each:
        gy = gy.reshape(1 if g.batch else g.n, 1 if g.micro else g.c, 1)
    gp = gy / g.divisor * (above / below * (2 * p if g.squared else 1) - 2 * t) / below
    if ACTIVATIONS[g.activation] == "softmax":
        gx = p * (gp - (gp * p).sum(1, keepdims=True))
    else:
        gx = gp * p * (1 - p) if ACTIVATIONS[g.activation] == "sigmoid" else gp
    return np.where(counted, gx, 0)


def _probabilities(x: Array, g: Geometry) -> Array:
    """(N, C, size)"""
    x = x.reshape(g.n, g.c, g.size)
    if ACTIVATIONS[g.activation] == "softmax":
        exps = np.exp(x - x.max(1, initial=-np.inf, keepdims=True))
        return exps / exps.sum(1, keepdims=True)
    return 1 / (1 + np.exp(-x)) if ACTIVATIONS[g.activation] == "sigmoid" else x


def _masks(target: Array, g: Geometry) -> tuple[Array, Array]:
    """The target as masks (N, C, size), and which pixels count."""
    if not g.labels:
        return target.reshape(g.n, g.c, g.size), np.array(True)
    labels = target.reshape(g.n, 1, g.size)
    counted = (labels != g.ignore_index) | (not g.ignores)
    return counted * (labels == np.arange(g.c)[:, None]).astype(float), counted


def _quotient(sums: Array, g: Geometry) -> tuple[Array, Array]:
    """What is above and below the bar: (N or 1, C or 1)."""
    gone = tuple(axis for axis, summed in enumerate((g.batch, g.micro)) if summed)
    both, predicted, wanted = np.moveaxis(sums.sum(gone, keepdims=True), -1, 0)
    return 2 * both + g.smooth_nr, predicted + wanted + g.smooth_dr
