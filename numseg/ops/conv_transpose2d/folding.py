"""A transposed convolution takes in what is done to each channel of its result."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.typing import Array


def scaled(
    scale: Array, shift: Array, weight: Array, bias: Array | None, *, groups: int = 1, **others: Any
) -> dict[str, Array]:
    """Arguments in the place of those given, float64, with which the result is
    ``y * scale + shift``."""
    of_group = weight.reshape(
        groups, -1, *weight.shape[1:]
    )  # (groups, channels, filters, rows, columns)
    filters = scale.reshape(groups, 1, -1, 1, 1)
    start = np.zeros(len(shift)) if bias is None else bias
    return {"weight": (of_group * filters).reshape(weight.shape), "bias": start * scale + shift}
