"""What batch_norm is in inference: a multiple of each channel, and a number added."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.typing import Array


def affine(
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    training: bool = False,
    eps: float = 1e-5,
    **others: Any,
) -> tuple[Array, Array] | None:
    """(scale, shift) of each channel, float64: ``y = x * scale + shift``. None in training."""
    if training:
        return None
    ones, zeros = np.ones(len(running_var)), np.zeros(len(running_mean))
    scale = (ones if weight is None else weight) / np.sqrt(running_var.astype(np.float64) + eps)
    return scale, (zeros if bias is None else bias) - running_mean * scale
