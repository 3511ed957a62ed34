"""A number taken from each channel."""

from __future__ import annotations

import numpy as np

from numseg.broadcasting import per_channel
from numseg.typing import Array


def affine(other: Array) -> tuple[Array, Array] | None:
    """(scale, shift) of each channel, float64: ``y = x * scale + shift``. None if other is no
    number for each."""
    numbers = per_channel(other)
    return None if numbers is None else (np.ones_like(numbers), -numbers)
