"""Inputs for divide: divisors from 1/2 to 2, of either sign, some of them powers of two."""

from typing import Any

import numpy as np

from numseg.operator import Plan
from numseg.ops.divide import divide
from numseg.testing.broadcasting import inputs, sizes_of_terms, terms
from numseg.testing.cases import Maker
from numseg.typing import Array, Shape


def _divisors(shape: Shape) -> Maker:
    def make(rng: np.random.Generator, dtype: Any) -> Array:
        sizes = np.where(rng.random(shape) < 0.5, rng.uniform(0.5, 2, shape), 2.0)
        return np.asarray(sizes * rng.choice([-1, 1], shape), dtype)

    return make


valid, invalid = inputs(other=_divisors)
EXACT = "value"


def roundings(plan: Plan[Any]) -> int:
    """Those of a sum, and one and a half of a term."""
    return 1 + terms(plan)


scales = sizes_of_terms(divide)
