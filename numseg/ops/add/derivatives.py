"""Derivatives of add."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.typing import Array


def jvp(saved: Any, along: dict[str, Any]) -> Array:
    tangents = [tangent for tangent in along.values() if tangent is not None]
    return np.sum(tangents, axis=0)


def double_backward(saved: Any, grad_y: Array, along: dict[str, Any]) -> dict[str, Array]:
    return {}
