"""Inputs for pow: bases from 1/2 to 2, and any exponents."""

from typing import Any

import numpy as np

from numseg.operator import Plan
from numseg.testing.broadcasting import inputs, terms
from numseg.testing.cases import Maker
from numseg.typing import Array, Shape


def _bases(shape: Shape) -> Maker:
    def make(rng: np.random.Generator, dtype: Any) -> Array:
        return np.asarray(np.where(rng.random(shape) < 0.5, rng.uniform(0.5, 2, shape), 2.0), dtype)

    return make


valid, invalid = inputs(x=_bases)
EXACT = False


def roundings(plan: Plan[Any]) -> int:
    """Of a power (which is within an ulp or two), of a term, and of the sum of terms."""
    return 8 * (1 + terms(plan))
