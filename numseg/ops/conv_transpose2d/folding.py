"""A transposed convolution takes in what is done to each channel of its result."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.typing import Array


def scaled(
    scale: Array, shift: Array, w: Array, b: Array | None, *, groups: int = 1, **others: Any
) -> dict[str, Array]:
    """Arguments in the place of those given, float64, with which the result is
    ``y * scale + shift``."""
    of_group = w.reshape(groups, -1, *w.shape[1:])  # (groups, channels, filters, rows, columns)
    filters = scale.reshape(groups, 1, -1, 1, 1)
    start = np.zeros(len(shift)) if b is None else b
    return {"w": (of_group * filters).reshape(w.shape), "b": start * scale + shift}
