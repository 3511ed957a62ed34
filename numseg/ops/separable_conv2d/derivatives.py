"""Derivatives of separable_conv2d: it is linear in x and in each of the two weights.

dz = conv2d(dx, w_depthwise) + conv2d(x, dw_depthwise) + db_depthwise
dy = conv2d(dz, w_pointwise) + conv2d(z, dw_pointwise) + db
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.conv2d import conv2d
from numseg.typing import Array


def jvp(saved: Any, along: dict[str, Any]) -> Array:
    total: Any = conv2d(_hidden_along(saved, along), saved.w_pointwise)
    if along["w_pointwise"] is not None:
        total = total + conv2d(_hidden(saved), along["w_pointwise"])
    if along["b"] is not None:
        total = total + along["b"][:, None, None]
    return total


def double_backward(saved: Any, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of <grad_y, dy>: through dz and z, then through the products that these are."""
    how = _how(saved)
    found = {name: np.zeros_like(getattr(saved, name)) for name in ("x", "w_depthwise")}
    by_dz, found["w_pointwise"] = _gradients(
        _hidden_along(saved, along), saved.w_pointwise, grad_y
    )[:2]
    if along["x"] is not None:
        found["w_depthwise"] += _gradients(along["x"], saved.w_depthwise, by_dz, **how)[1]
    if along["w_depthwise"] is not None:
        found["x"] += _gradients(saved.x, along["w_depthwise"], by_dz, **how)[0]
    if along["w_pointwise"] is not None:
        by_z = _gradients(_hidden(saved), along["w_pointwise"], grad_y)[0]
        by_x, by_w = _gradients(saved.x, saved.w_depthwise, by_z, **how)[:2]
        found["x"] += by_x
        found["w_depthwise"] += by_w
        found["b_depthwise"] = by_z.sum((0, 2, 3))
    return found


def _how(saved: Any) -> dict[str, Any]:
    """The depthwise convolution's parameters."""
    return {**saved.plan.parameters, "groups": saved.plan.geometry.depthwise.groups}


def _hidden(saved: Any) -> Array:
    return conv2d(saved.x, saved.w_depthwise, saved.b_depthwise, **_how(saved))


def _hidden_along(saved: Any, along: dict[str, Any]) -> Array:
    """dz"""
    total = np.zeros(saved.plan.geometry.hidden, saved.x.dtype)
    if along["x"] is not None:
        total += conv2d(along["x"], saved.w_depthwise, **_how(saved))
    if along["w_depthwise"] is not None:
        total += conv2d(saved.x, along["w_depthwise"], **_how(saved))
    if along["b_depthwise"] is not None:
        total += along["b_depthwise"][:, None, None]
    return total


def _gradients(x: Array, w: Array, gy: Array, **how: Any) -> tuple[Any, ...]:
    return conv2d.backward(conv2d.forward(x, w, **how)[1], gy)
