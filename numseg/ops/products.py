"""Derivatives of what is linear in (x, bias) and in (weight, bias): convolutions, linear."""

from __future__ import annotations

from typing import Any

from numseg.operator import Operator
from numseg.plan import Saved
from numseg.typing import Array


def jvp(op: Operator[..., Any], saved: Saved, along: dict[str, Any], bias_axes: int) -> Array:
    """``op(dx, weight) + op(x, dweight) + dbias``; ``bias_axes`` axes follow the bias's."""
    how = saved.plan.parameters
    total: Any = 0.0
    if along["x"] is not None:
        total = total + op(along["x"], saved.weight, **how)
    if along["weight"] is not None:
        total = total + op(saved.x, along["weight"], **how)
    if along["bias"] is not None:
        total = total + along["bias"].reshape(-1, *[1] * bias_axes)
    return total


def double_backward(
    op: Operator[..., Any], saved: Saved, grad_y: Array, along: dict[str, Any]
) -> dict[str, Array]:
    """Of <grad_y, op(dx, weight) + op(x, dweight)>: each factor's gradient, by backward."""
    found = {}
    if along["x"] is not None:
        at = saved._replace(x=along["x"])
        found["weight"] = op.backward(at, grad_y, needs=["weight"])[1]
    if along["weight"] is not None:
        at = saved._replace(weight=along["weight"])
        found["x"] = op.backward(at, grad_y, needs=["x"])[0]
    return found
