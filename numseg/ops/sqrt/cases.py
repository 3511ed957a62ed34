"""Inputs for sqrt: not near 0, where it is steep."""

from typing import Any

import numpy as np

from numseg.testing.cases import Maker
from numseg.testing.pointwise import inputs
from numseg.typing import Array, Shape


def _positive(shape: Shape) -> Maker:
    def make(rng: np.random.Generator, dtype: Any) -> Array:
        x = rng.uniform(0.25, 4, shape)
        return np.where(x < 2, x, np.rint(x) ** 2).astype(dtype)

    return make


valid, invalid = inputs(x=_positive)
EXACT = "value"
roundings = 2
"""Half for the root and half for the quotient, at most 2 to its left."""
