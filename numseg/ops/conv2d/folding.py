"""A convolution takes in what is done to each channel of its result."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.typing import Array


def scaled(
    scale: Array, shift: Array, weight: Array, bias: Array | None, **others: Any
) -> dict[str, Array]:
    """Arguments in the place of those given, float64, with which the result is
    ``y * scale + shift``. None, if that has other channels."""
    if scale.size not in (1, len(weight)):
        return {}
    start = np.zeros(len(weight)) if bias is None else bias
    return {"weight": weight * scale[:, None, None, None], "bias": start * scale + shift}


def fed(
    scale: Array,
    shift: Array,
    weight: Array,
    bias: Array | None,
    *,
    padding: Any = 0,
    groups: int = 1,
    **others: Any,
) -> dict[str, Array]:
    """Arguments, float64, with which the result of x is that of ``x * scale + shift``. None, where
    padding would be other numbers than 0 before."""
    channels = groups * weight.shape[1]
    padded = isinstance(padding, str) or np.any(padding)
    if scale.size not in (1, channels) or (padded and shift.any()):
        return {}
    of_group = weight.reshape(groups, -1, *weight.shape[1:]).astype(np.float64)
    scale, shift = (
        np.broadcast_to(n, channels).reshape(groups, 1, -1, 1, 1) for n in (scale, shift)
    )
    more = (of_group * shift).sum((2, 3, 4)).reshape(-1)
    return {
        "weight": (of_group * scale).reshape(weight.shape),
        "bias": more if bias is None else bias + more,
    }
