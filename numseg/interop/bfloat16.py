"""bfloat16, which NumPy has not: the upper half of a float32."""

from __future__ import annotations

import numpy as np

from numseg.typing import Array


def widened(raw: Array) -> Array:
    """The float32 numbers that these bits of bfloat16 are; each is one, so nothing is rounded.

    Parameters
    ----------
    raw : array, uint16, any byte order
    """
    return np.ascontiguousarray(raw.astype(np.uint32) << 16).view(np.float32).reshape(raw.shape)
