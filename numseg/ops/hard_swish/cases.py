"""Inputs for hard_swish: integers from -4 to 4, with both kinks, and numbers on every piece."""

from typing import Any

import numpy as np

from numseg.testing.cases import Maker
from numseg.testing.pointwise import inputs
from numseg.typing import Array, Shape


def _wide(shape: Shape) -> Maker:
    """Numbers from -6 to 6, none near a kink."""

    def make(rng: np.random.Generator, dtype: Any) -> Array:
        x = rng.uniform(-6, 6, shape)
        return np.where(np.abs(np.abs(x) - 3) < 0.01, 1.0, x).astype(dtype)

    return make


valid, invalid = inputs()
valid |= inputs(x=_wide)[0]
EXACT = "cpu"
roundings = 1
"""Of a float32 result; a float64 one is computed as it is by definition."""
cuda_roundings = 2
"""Three halves: of the sum, the product and the quotient."""
