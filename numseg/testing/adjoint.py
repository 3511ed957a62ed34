"""Linear operators against their transpose: the dot test."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.operator import Operator
from numseg.testing import reproduce
from numseg.testing.report import Report
from numseg.testing.subject import (
    Function,
    Inputs,
    Slot,
    Subject,
    change,
    finite,
    place,
    relative,
    unit,
)
from numseg.typing import Array

SMALL = 64
"""Arguments of at most so many numbers are searched for the one that is wrong."""


class DotProducts(NamedTuple):
    """The two sides of the dot test for one argument."""

    argument: str
    error: float
    """``|left - right| / scale``."""
    left: float
    """``<A x, g>``"""
    right: float
    """``<x, A' g>``"""
    bent: float
    """How far ``A(-x)`` is from ``-A x``, relative to the size of both."""
    where: str = ""
    """The number of the argument for which the two sides differ most, if there are few."""


@dataclasses.dataclass(frozen=True, repr=False)
class AdjointReport(Report):
    """What :func:`adjointcheck` found; true if every transpose is right, and printable."""

    products: tuple[DotProducts, ...]

    @property
    def status(self) -> str:
        """ "pass" or "fail"."""
        good = all(max(p.error, p.bent) <= self.tolerance for p in self.products)
        return "pass" if good else "fail"

    def lines(self) -> list[str]:
        bent = [p.argument for p in self.products if p.bent > self.tolerance]
        verdict = f"backward {'is' if self.passed else 'is NOT'} the transpose of forward"
        verdict = f"not linear in {', '.join(bent)}" if bent else verdict
        lines = [f"{self.function}: {verdict}"]
        for p in self.products:
            bad = "" if p.error <= self.tolerance else f"  <- too large{p.where}"
            bad += f"  <- A(-x) differs from -A x by {p.bent:.1e}" if p.argument in bent else ""
            lines.append(
                f"  {p.argument:<12} error {p.error:.1e}: <A x, g> = {p.left!r}, "
                f"<x, A' g> = {p.right!r}{bad}"
            )
        return [*lines, f"  tolerance {self.tolerance:.2e}, {self.dtype}"]


def adjointcheck(
    function: Function,
    inputs: Inputs,
    *,
    arguments: Sequence[str] | None = None,
    tolerance: float | None = None,
    seed: int = 0,
    dtype: Any = None,
    results: str = "first",
) -> AdjointReport:
    """The dot test: ``<A x, g> == <x, A' g>`` for a function that is linear in its arguments.

    ``A x`` is what an argument adds to the result (terms without it, such as a bias, are
    subtracted), ``A' g`` its gradient. No differences are taken, so the test is sharp: for
    integer-valued inputs and functions that only add and multiply both sides are exact, and
    ``tolerance=0`` holds. Both sides are taken at the inputs, and at random whole numbers in their
    place; that ``A`` is linear is tested at ``-x``.

    Parameters
    ----------
    function, inputs, dtype, results
        As for :func:`~numseg.testing.gradcheck`.
    arguments : sequence of str, optional
        The arguments in which the function is linear, each taken alone. By default those an
        operator names, or all arrays of floats.
    tolerance : float, optional
        Largest error that passes, relative to ``sum |A x| |g| + sum |x| |A' g|``; by default a
        hundred machine epsilons.
    seed : int
        Of ``g`` and of the other ``x``, which are integer-valued.

    Returns
    -------
    AdjointReport
        True if all errors are within the tolerance; printing it shows both sides and, if they
        differ, where, and a program that repeats the check.

    Examples
    --------
    >>> import numpy as np
    >>> from numseg.testing import adjointcheck
    >>> double = lambda x: (2 * x, None), lambda saved, grad_y: 2 * grad_y
    >>> bool(adjointcheck(double, [np.arange(3.0)], tolerance=0))
    True
    """
    subject = Subject(function, inputs, dtype, results)
    y, saved = subject.start()
    precision = subject.precision(y)
    options = {"arguments": arguments, "tolerance": tolerance, "seed": seed,
               "dtype": str(subject.dtype), "results": results}  # fmt: skip
    if arguments is None and isinstance(function, Operator):
        arguments = function.linear if saved.plan.linear else []
    elif arguments is None:
        arguments = [*subject.arguments]
    for name in arguments:
        checks.choice("arguments", name, [*subject.arguments, *getattr(function, "linear", ())])
    if tolerance is None:
        tolerance = 100 * float(np.finfo(precision).eps)
    g = np.random.default_rng(seed).integers(-4, 5, y.shape).astype(y.dtype)
    gradients = subject.gradients(saved, g)
    products = tuple(
        _compare(subject, slot, y, g, gradients[slot], tolerance, seed)
        for slot in subject.slots
        if slot.argument in arguments and slot in gradients
    )
    return AdjointReport(
        function=subject.name,
        inputs=str(subject),
        dtype=str(precision),
        seed=seed,
        tolerance=tolerance,
        products=products,
        code=reproduce.code(adjointcheck, subject, options),
        subject=subject,
    )


def _compare(
    subject: Subject,
    slot: Slot,
    y: Array,
    g: Array,
    gradient: Array,
    tolerance: float,
    seed: int,
) -> DotProducts:
    x = subject.array(slot)
    nothing, _ = subject.run({slot: np.zeros_like(x)})
    opposite, _ = subject.run({slot: -x})
    size = abs(finite(y)) + abs(finite(nothing))
    both = change(y, nothing) + change(opposite, nothing)
    bent = relative(_largest(finite(both)), 0.0, _largest(size))
    # the given x may be symmetric, and hide where the gradient went: whole numbers are not
    other = np.random.default_rng([seed, 1]).integers(-4, 5, x.shape).astype(x.dtype)
    sides = []
    for at, value in ((x, y), (other, subject.run({slot: other})[0])):
        left, right = _dot(change(value, nothing), g), _dot(at, gradient)
        size = abs(finite(value)) + abs(finite(nothing))
        scale = _dot(size, abs(g)) + _dot(abs(at), abs(gradient))
        sides.append((relative(left, right, scale), left, right))
    error, left, right = max(sides, key=lambda side: side[0])
    where = _worst(subject, slot, nothing, g, gradient) if error > tolerance else ""
    return DotProducts(slot.label, error, left, right, bent, where)


def _largest(array: Array) -> float:
    return float(np.max(abs(array), initial=0))


def _worst(subject: Subject, slot: Slot, nothing: Array, g: Array, gradient: Array) -> str:
    """The number of the argument whose column of A is furthest from the row of A'."""
    x = subject.array(slot)
    if x.size > SMALL:
        return ""
    columns = (change(subject.run({slot: unit(x, i)})[0], nothing) for i in range(x.size))
    sums = np.array([_dot(column, g) for column in columns])
    i = int(np.argmax(np.nan_to_num(abs(sums - gradient.reshape(-1)), nan=np.inf)))
    stated = float(gradient.reshape(-1)[i])
    return f": for {slot.label}{place(x, i)} it is {stated!r}, expected {float(sums[i])!r}"


def _dot(a: Array, b: Array) -> float:
    """Exact for products that are, and rounded once."""
    return math.fsum((a.astype(np.float64) * b).reshape(-1).tolist())
