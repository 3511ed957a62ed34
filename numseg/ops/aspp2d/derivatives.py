"""Derivatives of aspp2d, which is linear in (x, bias) and in (weights, pool_weight, bias)."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.aspp2d import aspp2d
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    how = saved.plan.parameters
    total: Any = 0.0
    if along["x"] is not None:
        total = total + aspp2d(along["x"], saved.weights, saved.pool_weight, **how)
    if along["weights"] is not None or along["pool_weight"] is not None:
        total = total + aspp2d(saved.x, *_weights(saved, along), **how)
    if along["bias"] is not None:
        total = total + along["bias"][:, None, None]
    return total


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Any]:
    """Of <grad_y, f(along x, weights) + f(x, along weights)>: each factor's gradient."""
    found: dict[str, Any] = {}
    if along["x"] is not None:
        at = saved._replace(x=along["x"])
        _, *gws, gw_pool, _ = aspp2d.backward(at, grad_y, needs=["weights", "pool_weight"])
        found["weights"] = tuple(gws)
        if gw_pool is not None:
            found["pool_weight"] = gw_pool
    if along["weights"] is not None or along["pool_weight"] is not None:
        weights, pool_weight = _weights(saved, along)
        at = saved._replace(weights=weights, pool_weight=pool_weight)
        found["x"] = aspp2d.backward(at, grad_y, needs=["x"])[0]
    return found


def _weights(saved: Saved, along: dict[str, Any]) -> tuple[Any, Any]:
    """The tangents of the weights, zeros where they do not move."""
    weights, pool_weight = along["weights"], along["pool_weight"]
    if weights is None:
        weights = tuple(map(np.zeros_like, saved.weights))
    if pool_weight is None and saved.pool_weight is not None:
        pool_weight = np.zeros_like(saved.pool_weight)
    return weights, pool_weight
