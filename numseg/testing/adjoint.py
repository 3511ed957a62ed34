"""Linear operators against their transpose: the dot test."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.operator import Operator
from numseg.testing.subject import Function, Inputs, Slot, Subject, change, finite
from numseg.typing import Array


class DotProducts(NamedTuple):
    """The two sides of the dot test for one argument."""

    argument: str
    error: float
    """``|left - right| / scale``."""
    left: float
    """``<A x, grad_y>``"""
    right: float
    """``<x, A' grad_y>``"""


@dataclasses.dataclass(frozen=True)
class AdjointReport:
    """What :func:`adjointcheck` found; true if every transpose is right, and printable."""

    function: str
    inputs: str
    seed: int
    tolerance: float
    products: tuple[DotProducts, ...]

    @property
    def passed(self) -> bool:
        return all(p.error <= self.tolerance for p in self.products)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        verdict = "is" if self.passed else "is NOT"
        lines = [f"{self.function}: backward {verdict} the transpose of forward"]
        for p in self.products:
            bad = "" if p.error <= self.tolerance else "  <- too large"
            lines.append(
                f"  {p.argument:<12} error {p.error:.1e}: <A x, g> = {p.left!r}, "
                f"<x, A' g> = {p.right!r}{bad}"
            )
        lines += [
            f"  tolerance {self.tolerance:.2e}; inputs: {self.inputs}",
            f"  repeat: adjointcheck({self.function}, inputs, seed={self.seed})",
        ]
        return "\n".join(lines)

    __repr__ = __str__


def adjointcheck(
    function: Function,
    inputs: Inputs,
    *,
    arguments: Sequence[str] | None = None,
    tolerance: float | None = None,
    seed: int = 0,
    dtype: Any = np.float64,
) -> AdjointReport:
    """The dot test: ``<A x, g> == <x, A' g>`` for a function that is linear in its arguments.

    ``A x`` is what an argument adds to the result (terms without it, such as a bias, are
    subtracted), ``A' g`` its gradient. No differences are taken, so the test is sharp: for
    integer-valued inputs and functions that only add and multiply both sides are exact, and
    ``tolerance=0`` holds.

    Parameters
    ----------
    function, inputs, dtype
        As for :func:`~numseg.testing.gradcheck`.
    arguments : sequence of str, optional
        The arguments in which the function is linear, each taken alone. By default those an
        operator names, or all arrays of floats.
    tolerance : float, optional
        Largest error that passes, relative to ``sum |A x| |g| + sum |x| |A' g|``; by default a
        hundred machine epsilons.
    seed : int
        Of ``g``, which is integer-valued.

    Returns
    -------
    AdjointReport
        True if all errors are within the tolerance; printing it shows both sides.

    Examples
    --------
    >>> import numpy as np
    >>> from numseg.testing import adjointcheck
    >>> double = lambda x: (2 * x, None), lambda saved, grad_y: 2 * grad_y
    >>> bool(adjointcheck(double, [np.arange(3.0)], tolerance=0))
    True
    """
    subject = Subject(function, inputs, dtype)
    y, saved = subject.run()
    if arguments is None and isinstance(function, Operator):
        arguments = function.linear if saved.plan.linear else []
    elif arguments is None:
        arguments = [*subject.arguments]
    for name in arguments:
        checks.choice("arguments", name, [*subject.arguments])
    if tolerance is None:
        tolerance = 100 * float(np.finfo(subject.dtype).eps)
    g = np.random.default_rng(seed).integers(-4, 5, y.shape).astype(subject.dtype)
    gradients = subject.gradients(saved, g)
    products = tuple(
        _compare(subject, slot, y, g, gradients[slot])
        for slot in subject.slots
        if slot.argument in arguments and slot in gradients
    )
    return AdjointReport(subject.name, str(subject), seed, tolerance, products)


def _compare(subject: Subject, slot: Slot, y: Array, g: Array, gradient: Array) -> DotProducts:
    x = subject.array(slot)
    without, _ = subject.run(slot, np.zeros_like(x))
    ax = change(y, without)
    left, right = _dot(ax, g), _dot(x, gradient)
    scale = _dot(abs(finite(y)) + abs(finite(without)), abs(g)) + _dot(abs(x), abs(gradient))
    error = 0.0 if left == right else abs(left - right) / scale if scale > 0 else math.inf
    return DotProducts(slot.label, error if error == error else math.inf, left, right)


def _dot(a: Array, b: Array) -> float:
    """Exact for products that are, and rounded once."""
    return math.fsum((a.astype(np.float64) * b).reshape(-1).tolist())
