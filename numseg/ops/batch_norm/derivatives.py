"""Derivatives of batch_norm, y = weight z + bias, by the batch's statistics or by fixed ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.faces import widen
from numseg.ops import normalised
from numseg.ops.batch_norm import batch_norm
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    total: Any = 0.0
    if along["x"] is not None:  # the matrix of x is symmetric
        total = total + batch_norm.backward(saved, along["x"], needs=["x"])[0]
    if along["weight"] is not None:
        total = total + _z(saved)[0] * _channels(along["weight"], saved)
    if along["bias"] is not None:
        total = total + _channels(along["bias"], saved)
    return total


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of sum(weight grad_y r P v) over the batch (without P for fixed statistics), where v is the
    tangent of x, and of sum(u grad_y z), where u is that of weight."""
    z, r = _z(saved)
    over = (0, *range(2, z.ndim))
    found: dict[str, Any] = {"x": 0.0}
    if along["weight"] is not None:
        at = saved._replace(weight=along["weight"])
        found["x"] = batch_norm.backward(at, grad_y, needs=["x"])[0]
    if along["x"] is not None:
        v, of_batch = widen(along["x"]), saved.plan.geometry.of_batch
        w = 1.0 if saved.weight is None else _channels(saved.weight, saved)
        found["weight"] = (grad_y * (normalised.moved(v, z, r, over) if of_batch else v * r)).sum(
            over
        )
        if of_batch:
            found["x"] = found["x"] + normalised.curved(v, w * grad_y, z, r, over)
    return found


def _z(saved: Saved) -> tuple[Array, Array]:
    """The normalised x, and 1 / sqrt(var + eps)."""
    r = 1 / np.sqrt(_channels(saved.var, saved) + saved.plan.geometry.eps)
    return (saved.x - _channels(saved.mean, saved)) * r, r


def _channels(vector: Array, saved: Saved) -> Array:
    """To go with x, in float64."""
    return widen(vector).reshape(-1, *(1 for _ in saved.x.shape[2:]))
