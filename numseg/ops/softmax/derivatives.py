"""Derivatives of softmax: a column's matrix diag(y) - y y' is symmetric, so jvp is backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.softmax import softmax
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    gradient: Array = softmax.backward(saved, along["x"])[0]
    return gradient


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of sum(v y g) - sum(v y) sum(g y) for each column, first along y."""
    v = along["x"]
    if v is None:
        return {}
    y, axis = saved.y, saved.plan.parameters["dim"]
    gv, gg = (np.sum(y * a, axis, keepdims=True) for a in (v, grad_y))
    return {"x": softmax.backward(saved, v * grad_y - v * gg - grad_y * gv)[0]}
