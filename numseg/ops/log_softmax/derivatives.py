"""Derivatives of log_softmax, with p = exp(y) the softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    v = along["x"]
    return v - np.sum(np.exp(saved.y) * v, saved.plan.parameters["dim"], keepdims=True)


def double_backward(saved: Saved, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    """Of sum(v g) - sum(v p) sum(g) for each column; p moves as a softmax does."""
    if along["x"] is None:
        return {}
    total = np.sum(grad_y, saved.plan.parameters["dim"], keepdims=True)
    return {"x": -total * np.exp(saved.y) * jvp(saved, along)}
