"""Derivatives of aspp2d, which is linear in (x, b) and in (ws, w_pool, b)."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.aspp2d import aspp2d
from numseg.typing import Array


def jvp(saved: Any, along: dict[str, Any]) -> Array:
    how = saved.plan.parameters
    total: Any = 0.0
    if along["x"] is not None:
        total = total + aspp2d(along["x"], saved.ws, saved.w_pool, **how)
    if along["ws"] is not None or along["w_pool"] is not None:
        total = total + aspp2d(saved.x, *_weights(saved, along), **how)
    if along["b"] is not None:
        total = total + along["b"][:, None, None]
    return total


def double_backward(saved: Any, grad_y: Array, along: dict[str, Any]) -> dict[str, Any]:
    """Of <grad_y, f(along x, weights) + f(x, along weights)>: each factor's gradient."""
    found: dict[str, Any] = {}
    if along["x"] is not None:
        at = saved._replace(x=along["x"])
        _, *gws, gw_pool, _ = aspp2d.backward(at, grad_y, needs=["ws", "w_pool"])
        found["ws"] = tuple(gws)
        if gw_pool is not None:
            found["w_pool"] = gw_pool
    if along["ws"] is not None or along["w_pool"] is not None:
        ws, w_pool = _weights(saved, along)
        at = saved._replace(ws=ws, w_pool=w_pool)
        found["x"] = aspp2d.backward(at, grad_y, needs=["x"])[0]
    return found


def _weights(saved: Any, along: dict[str, Any]) -> tuple[Any, Any]:
    """The tangents of the weights, zeros where they do not move."""
    ws, w_pool = along["ws"], along["w_pool"]
    if ws is None:
        ws = tuple(map(np.zeros_like, saved.ws))
    if w_pool is None and saved.w_pool is not None:
        w_pool = np.zeros_like(saved.w_pool)
    return ws, w_pool
