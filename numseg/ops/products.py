"""Derivatives of what is linear in (x, b) and in (w, b): convolutions and the linear layer."""

from __future__ import annotations

from typing import Any

from numseg.operator import Operator
from numseg.typing import Array


def jvp(op: Operator[..., Any], saved: Any, along: dict[str, Any], bias_axes: int) -> Array:
    """``op(dx, w) + op(x, dw) + db``; the result has ``bias_axes`` axes after that of b."""
    how = saved.plan.parameters
    total: Any = 0.0
    if along["x"] is not None:
        total = total + op(along["x"], saved.w, **how)
    if along["w"] is not None:
        total = total + op(saved.x, along["w"], **how)
    if along["b"] is not None:
        total = total + along["b"].reshape(-1, *[1] * bias_axes)
    return total


def double_backward(
    op: Operator[..., Any], saved: Any, grad_y: Array, along: dict[str, Any]
) -> dict[str, Array]:
    """Of <grad_y, op(along x, w) + op(x, along w)>: each factor's gradient, by backward."""
    found = {}
    if along["x"] is not None:
        at = saved._replace(x=along["x"])
        found["w"] = op.backward(at, grad_y, needs=["w"])[1]
    if along["w"] is not None:
        at = saved._replace(w=along["w"])
        found["x"] = op.backward(at, grad_y, needs=["x"])[0]
    return found
