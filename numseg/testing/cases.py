"""Cases: one call of an operator, without the values, so that a test can choose those.

Every operator's ``cases.py`` states ``valid`` (a Hypothesis strategy of :class:`Case`), ``invalid``
(a list of :class:`Invalid`), ``EXACT`` (integer-valued inputs give the reference's bits) and
``roundings(plan)``: the bound on the error on real inputs, for the value and every gradient, in
units of ``eps * scale``, where the scale is the reference on absolute values for an operator that
is linear in each input, else ``max(|result|, 1)``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from numseg.typing import Array, Shape

Maker = Callable[[np.random.Generator, Any], Array]
"""Makes an array that ordinary numbers will not do for (switches, class labels): (rng, dtype)."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One call. ``arrays`` maps each array argument to a shape, a :data:`Maker`, a finished array,
    None, or a list of shapes for an argument that is a sequence of arrays."""

    arrays: dict[str, Any]
    params: dict[str, Any] = dataclasses.field(default_factory=dict)

    def arguments(self, kind: str, dtype: Any, seed: int = 0) -> dict[str, Any]:
        """The call's keyword arguments, with values of ``kind`` "integers" or "reals"."""
        rng = np.random.default_rng(seed)
        made = {name: _make(entry, kind, dtype, rng) for name, entry in self.arrays.items()}
        return made | self.params


@dataclasses.dataclass(frozen=True)
class Invalid:
    """A call that must fail with an ArgumentError whose message contains ``message``."""

    case: Case
    message: str


def _make(entry: Any, kind: str, dtype: Any, rng: np.random.Generator) -> Any:
    if callable(entry):
        return entry(rng, dtype)
    if isinstance(entry, list) and all(isinstance(part, tuple) for part in entry):
        return [_make(part, kind, dtype, rng) for part in entry]
    if isinstance(entry, tuple):
        return {"integers": integers, "reals": reals}[kind](entry, dtype, rng)
    return entry


def integers(shape: Shape, dtype: Any, rng: np.random.Generator) -> Array:
    """Small integers as floats: sums and products of them are exact, so equality is of bits."""
    return rng.integers(-4, 5, shape).astype(dtype)


def reals(shape: Shape, dtype: Any, rng: np.random.Generator) -> Array:
    """Distinct numbers in (-1, 1), none of them near zero and no two near each other: no ties and
    no kinks within a finite difference."""
    size = math.prod(shape)
    grid = (2 * np.arange(size) + 1 - size) / max(size, 1)
    grid = np.where(np.abs(grid) < 1e-9, 0.5 / max(size, 1), grid)
    grid += rng.uniform(0.05, 0.25) / max(size, 1)
    return rng.permutation(grid).reshape(shape).astype(dtype)


def shapes(min_axes: int, max_axes: int, max_size: int = 4) -> st.SearchStrategy[Shape]:
    """Shapes, empty axes included."""
    return st.lists(st.integers(0, max_size), min_size=min_axes, max_size=max_axes).map(tuple)
