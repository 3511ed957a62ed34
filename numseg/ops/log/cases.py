"""Inputs for log: numbers above zero."""

from typing import Any

import numpy as np

from numseg.testing.cases import Maker
from numseg.testing.pointwise import inputs
from numseg.typing import Array, Shape


def _above_zero(shape: Shape) -> Maker:
    """Numbers from 1 / 8 to 8, on both sides of 1."""

    def make(rng: np.random.Generator, dtype: Any) -> Array:
        return np.asarray(2 ** rng.uniform(-3, 3, shape), dtype)

    return make


valid, invalid = inputs(x=_above_zero)
EXACT = False
roundings = 2
"""Two for log, without fused multiply-add; one for the gradient's quotient."""
