"""What a kernel with a mistake would give, and whether an implementation gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numseg.conventions import Arguments
from numseg.testing import foreign
from numseg.testing.foreign import Given
from numseg.testing.trial import Trial
from numseg.typing import Array

UNDEFINED = 64.0
"""Ulps that a prediction may be off where the operator states no bound."""


class Prediction(NamedTuple):
    """What a kernel with a mistake would give."""

    results: list[Array]
    gradients: dict[str, Array]
    known: Array | None = None
    """Which numbers of the first result are predicted; None: all."""


Change = Callable[[Arguments], Arguments | None]
"""Other arguments than those that a kernel should read; None if it could not."""


class Mistake(NamedTuple):
    """A mistake in words, and what it makes of a call under a convention.

    It predicts None for a call of which nothing can be said.
    """

    words: str
    predict: Callable[[Trial, Arguments, Arguments], Prediction | None]


def fits(trial: Trial, arguments: Arguments, convention: Arguments, made: Prediction,
         given: Given) -> bool:  # fmt: skip
    """Are their results what was predicted?"""
    if len(made.results) != len(given.results):
        return False
    eps = trial.eps(arguments)
    defined = trial.defined({**arguments, **convention})  # else it takes what the mistake ignores
    limit = (trial.tolerance(arguments, convention) if defined else UNDEFINED) * eps
    for place, (wanted, got) in enumerate(zip(made.results, given.results, strict=True)):
        if wanted.shape != got.shape:
            return False
        known = made.known if place == 0 and made.known is not None else np.True_
        if not (_near(wanted, got, limit) | ~known).all():
            return False
    return all(
        g.shape == given.gradients[n].shape and bool(_near(g, given.gradients[n], limit).all())
        for n, g in made.gradients.items()
        if n in given.gradients
    )


@np.errstate(all="ignore")
def _near(a: Array, b: Array, limit: float) -> Array:
    size = np.max(np.abs(np.nan_to_num(a, posinf=0, neginf=0)), initial=1)
    near: Array = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= limit * size)
    return near


def numbers(arguments: Arguments) -> int:
    """How many an argument's arrays have."""
    return sum(a.size for value in arguments.values() for a in foreign.arrays(value))
