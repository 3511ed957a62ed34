"""The second derivative of gelu."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numseg.ops.tanh import tanh
from numseg.typing import Array


def curvature(x: Array, approximate: float) -> Any:
    root = math.sqrt(2 / math.pi)
    if not approximate:
        return root * np.exp(-x * x / 2) * (1 - x * x / 2)
    t = tanh(root * (x + 0.044715 * x**3))
    u1, u2 = root * (1 + 3 * 0.044715 * x * x), root * 6 * 0.044715 * x
    return (1 - t * t) * (u1 + x / 2 * (u2 - 2 * t * u1 * u1))
