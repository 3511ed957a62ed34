"""A transposed convolution takes in what is done to each channel of its result."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.typing import Array


def scaled(
    scale: Array, shift: Array, weight: Array, bias: Array | None, *, groups: int = 1, **others: Any
) -> dict[str, Array]:
    """Arguments in the place of those given, float64, with which the result is
    ``y * scale + shift``. None, if that has other channels."""
    count = groups * weight.shape[1]
    if scale.size not in (1, count):
        return {}
    of_group = weight.reshape(
        groups, -1, *weight.shape[1:]
    )  # (groups, channels, filters, rows, columns)
    filters = np.broadcast_to(scale, count).reshape(groups, 1, -1, 1, 1)
    start = np.zeros(count) if bias is None else bias
    return {"weight": (of_group * filters).reshape(weight.shape), "bias": start * scale + shift}
