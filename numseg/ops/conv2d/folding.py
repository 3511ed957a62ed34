"""A convolution takes in what is done to each channel of its result."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.typing import Array


def scaled(
    scale: Array, shift: Array, weight: Array, bias: Array | None, **others: Any
) -> dict[str, Array]:
    """Arguments in the place of those given, float64, with which the result is
    ``y * scale + shift``."""
    start = np.zeros(len(weight)) if bias is None else bias
    return {"weight": weight * scale[:, None, None, None], "bias": start * scale + shift}
