"""Derivatives of separable_conv2d: it is linear in x and in each of the two weights.

dz = conv2d(dx, depthwise_weight) + conv2d(x, d depthwise_weight) + d depthwise_bias
dy = conv2d(dz, pointwise_weight) + conv2d(z, d pointwise_weight) + d bias
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.conv2d import conv2d
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    total: Any = conv2d(_hidden_along(saved, along), saved.pointwise_weight)
    if along["pointwise_weight"] is not None:
        total = total + conv2d(_hidden(saved), along["pointwise_weight"])
    if along["bias"] is not None:
        total = total + along["bias"][:, None, None]
    return total


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of <grad_y, dy>: through dz and z, then through the products that these are."""
    how = _how(saved)
    found = {name: np.zeros_like(getattr(saved, name)) for name in ("x", "depthwise_weight")}
    by_dz, found["pointwise_weight"] = _gradients(
        _hidden_along(saved, along), saved.pointwise_weight, grad_y
    )[:2]
    if along["x"] is not None:
        found["depthwise_weight"] += _gradients(along["x"], saved.depthwise_weight, by_dz, **how)[1]
    if along["depthwise_weight"] is not None:
        found["x"] += _gradients(saved.x, along["depthwise_weight"], by_dz, **how)[0]
    if along["pointwise_weight"] is not None:
        by_z = _gradients(_hidden(saved), along["pointwise_weight"], grad_y)[0]
        by_x, by_w = _gradients(saved.x, saved.depthwise_weight, by_z, **how)[:2]
        found["x"] += by_x
        found["depthwise_weight"] += by_w
        found["depthwise_bias"] = by_z.sum((0, 2, 3))
    return found


def _how(saved: Saved) -> dict[str, Any]:
    """The depthwise convolution's parameters."""
    return {**saved.plan.parameters, "groups": saved.plan.geometry.depthwise.groups}


def _hidden(saved: Saved) -> Array:
    return conv2d(saved.x, saved.depthwise_weight, saved.depthwise_bias, **_how(saved))


def _hidden_along(saved: Saved, along: dict[str, Any]) -> Array:
    """dz"""
    total = np.zeros_like(saved.x, shape=saved.plan.geometry.hidden)
    if along["x"] is not None:
        total += conv2d(along["x"], saved.depthwise_weight, **_how(saved))
    if along["depthwise_weight"] is not None:
        total += conv2d(saved.x, along["depthwise_weight"], **_how(saved))
    if along["depthwise_bias"] is not None:
        total += along["depthwise_bias"][:, None, None]
    return total


def _gradients(x: Array, w: Array, gy: Array, **how: Any) -> tuple[Any, ...]:
    return conv2d.backward(conv2d.forward(x, w, **how)[1], gy)
