"""Derivatives of instance_norm, y = weight z + bias, by a plane's statistics or fixed ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.faces import widen
from numseg.ops import normalised
from numseg.plan import Saved
from numseg.typing import Array

PLANE = (2,)
"""The axes of mean and variance in (N, C, pixels)."""


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    z, r = _z(saved)
    total: Any = 0.0
    if along["x"] is not None:
        total = total + _weight(saved) * _moved(along["x"].reshape(z.shape), z, r, saved)
    if along["weight"] is not None:
        total = total + z * _channels(along["weight"])
    if along["bias"] is not None:
        total = total + _channels(along["bias"])
    return np.broadcast_to(total, z.shape).reshape(saved.x.shape)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of sum(weight grad_y r P v) (without P for fixed statistics), where v is the tangent of x,
    and of sum(u grad_y z), where u is that of weight."""
    z, r = _z(saved)
    grad_y = grad_y.reshape(z.shape)
    found: dict[str, Any] = {"x": 0.0}
    if along["weight"] is not None:
        found["x"] = _moved(_channels(along["weight"]) * grad_y, z, r, saved)
    if along["x"] is not None:
        v = widen(along["x"]).reshape(z.shape)
        found["weight"] = (grad_y * _moved(v, z, r, saved)).sum((0, 2))
        if saved.plan.geometry.of_input:
            curved = normalised.curved(v, _weight(saved) * grad_y, z, r, PLANE)
            found["x"] = found["x"] + curved
    return found


def _moved(v: Array, z: Array, r: Array, saved: Saved) -> Array:
    """How z moves along v."""
    v = widen(v)
    return normalised.moved(v, z, r, PLANE) if saved.plan.geometry.of_input else v * r


def _z(saved: Saved) -> tuple[Array, Array]:
    """The normalised x, and 1 / sqrt(var + eps)."""
    g = saved.plan.geometry
    r = 1 / np.sqrt(saved.var[..., None] + g.eps)
    return (saved.x.reshape(g.n, g.c, g.size) - saved.mean[..., None]) * r, r


def _weight(saved: Saved) -> Any:
    return 1.0 if saved.weight is None else _channels(saved.weight)


def _channels(vector: Array) -> Array:
    """To go with (N, C, pixels), in float64."""
    return widen(vector)[:, None]
