"""Derivatives of group_norm: y = weight z + bias, with the statistics of each group."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.faces import widen
from numseg.ops import normalised
from numseg.plan import Saved
from numseg.typing import Array

GROUP = (2, 3)
"""The axes of mean and variance in (N, groups, channels of a group, pixels)."""


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    z, r = _z(saved)
    total: Any = 0.0
    if along["x"] is not None:
        v = widen(along["x"]).reshape(z.shape)
        total = total + _weight(saved) * normalised.moved(v, z, r, GROUP)
    if along["weight"] is not None:
        total = total + z * _channels(along["weight"], saved)
    if along["bias"] is not None:
        total = total + _channels(along["bias"], saved)
    return np.broadcast_to(total, z.shape).reshape(saved.x.shape)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of sum(weight grad_y r P v), where v is the tangent of x, and of sum(u grad_y z), where u is
    that of weight."""
    z, r = _z(saved)
    grad_y = grad_y.reshape(z.shape)
    found: dict[str, Any] = {"x": 0.0}
    if along["weight"] is not None:
        u = _channels(along["weight"], saved)
        found["x"] = normalised.moved(u * grad_y, z, r, GROUP)
    if along["x"] is not None:
        v = widen(along["x"]).reshape(z.shape)
        found["weight"] = (grad_y * normalised.moved(v, z, r, GROUP)).sum((0, 3))
        found["x"] = found["x"] + normalised.curved(v, _weight(saved) * grad_y, z, r, GROUP)
    return found


def _z(saved: Saved) -> tuple[Array, Array]:
    """The normalised x, and 1 / sqrt(var + eps)."""
    g = saved.plan.geometry
    mean, var = (s.reshape(g.n, g.groups, 1, 1) for s in (saved.mean, saved.var))
    r = 1 / np.sqrt(var + g.eps)
    return (saved.x.reshape(g.n, g.groups, g.channels, g.size) - mean) * r, r


def _weight(saved: Saved) -> Any:
    return 1.0 if saved.weight is None else _channels(saved.weight, saved)


def _channels(vector: Array, saved: Saved) -> Array:
    """To go with (N, groups, channels of a group, pixels), in float64."""
    g = saved.plan.geometry
    return widen(vector).reshape(g.groups, g.channels, 1)
