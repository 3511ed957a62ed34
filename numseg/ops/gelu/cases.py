"""Inputs for gelu: as usual, and on both sides as far as it bends."""

from typing import Any

import numpy as np

from numseg.testing.cases import Case, Maker, refused
from numseg.testing.pointwise import inputs
from numseg.typing import Array, Shape


def _wide(shape: Shape) -> Maker:
    def make(rng: np.random.Generator, dtype: Any) -> Array:
        return rng.uniform(-6, 6, shape).astype(dtype)

    return make


KINDS: list[dict[str, Any]] = [{"approximate": "none"}, {"approximate": "tanh"}]
valid, invalid = inputs(*KINDS)
valid |= inputs(*KINDS, x=_wide)[0]
invalid.append(refused(Case({"x": (3,)}))("approximate must be one of", approximate="erf"))
EXACT = False
roundings = 8
"""Phi is within six, without fused multiply-add; the products with x and grad_y are two more."""
