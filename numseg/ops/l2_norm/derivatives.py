"""Derivatives of l2_norm: y = weight z, and z = x / d has a symmetric matrix for each pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.l2_norm import l2_norm
from numseg.plan import Saved
from numseg.typing import Array


def jvp(saved: Saved, along: dict[str, Any]) -> Array:
    total: Any = 0.0
    if along["x"] is not None:
        if saved.weight is None:
            total = l2_norm.backward(saved, along["x"])[0]
        else:
            plain = saved._replace(weight=np.ones_like(saved.weight))
            total = l2_norm.backward(plain, along["x"])[0] * _channels(saved.weight, saved)
    if along["weight"] is not None:
        z = l2_norm(saved.x, **saved.plan.parameters)
        total = total + z * _channels(along["weight"], saved)
    return total


def _channels(vector: Array, saved: Saved) -> Array:
    return vector.reshape(-1, *(1 for _ in saved.x.shape[2:]))
