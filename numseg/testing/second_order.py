"""Second derivatives against central differences of backward, and the symmetry of the Hessian."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from numseg.operator import Operator
from numseg.testing import reproduce
from numseg.testing.gradients import Comparison, GradientReport, gradcheck, settings
from numseg.testing.lines import Line
from numseg.testing.report import Report
from numseg.testing.subject import (
    Function,
    Inputs,
    Slot,
    Subject,
    direction,
    finite,
    relative,
    size_of,
)
from numseg.typing import Array


@dataclasses.dataclass(frozen=True, repr=False)
class SecondOrderReport(Report):
    """What :func:`second_order_check` found; true if it passed, and printable."""

    gradient: GradientReport | None
    """``double_backward`` against differences of ``backward``; None where there is none."""
    symmetry: Comparison | None
    """``<u, H v>`` and ``<v, H u>``; None where a kink is near."""

    @property
    def status(self) -> str:
        """ "pass", "fail", or "kink": backward has a kink or a jump here."""
        found = [] if self.gradient is None else [self.gradient.status]
        if self.symmetry is None:
            found.append("kink")
        elif not self.symmetry.error <= self.tolerance:
            found.append("fail")
        return next((status for status in ("fail", "kink") if status in found), "pass")

    def lines(self) -> list[str]:
        lines = []
        if self.gradient is not None:
            first, *rest = self.gradient.lines()
            said = first.replace("backward and central", "double_backward and central")
            lines += [said.replace("backward agrees", "double_backward agrees"), *rest]
        if self.symmetry is None:
            lines.append(f"{self.function}: the Hessian is not compared: backward has a kink here")
        else:
            s = self.symmetry
            good = s.error <= self.tolerance
            lines.append(
                f"{self.function}: the Hessian of <grad_y, y> {'is' if good else 'is NOT'} "
                f"symmetric: <u, H v> = {s.numeric:.16g}, <v, H u> = {s.analytic:.16g}, "
                f"error {s.error:.1e}"
            )
        return lines


class Backward:
    """``backward`` as a function of the inputs and ``grad_y``, with its own gradient."""

    def __init__(self, subject: Subject, slots: list[Slot], rule: Any) -> None:
        self.subject, self.slots, self.rule = subject, slots, rule
        self.differentiable = (*dict.fromkeys(slot.argument for slot in slots), "grad_y")
        self.fixed = getattr(subject.function, "fixed", {})
        self.__name__ = f"{subject.name}.backward"

    def forward(self, grad_y: Array, **arguments: Any) -> tuple[tuple[Array, ...], Any]:
        _, saved = self.subject.call(arguments)
        gradients = self.subject.gradients(saved, grad_y)
        return tuple(gradients[slot] for slot in self.slots), (saved, grad_y)

    def backward(self, kept: Any, grad_grads: tuple[Array, ...]) -> list[Array]:
        saved, grad_y = kept
        along = self.subject.by_argument(dict(zip(self.slots, grad_grads, strict=True)))
        *by_input, last = self.rule(saved, grad_y, along)
        known = self.subject.by_slot(by_input, "double_backward")
        zero = {slot: np.zeros(self.subject.array(slot).shape) for slot in self.slots}
        found = zero | known
        return [
            *(found[slot] for slot in self.slots),
            np.zeros_like(grad_y) if last is None else last,
        ]


def second_order_check(
    function: Function,
    inputs: Inputs,
    *,
    eps: float | None = None,
    tolerance: float | None = None,
    directions: int = 3,
    jacobian: int = 64,
    seed: int = 0,
    dtype: Any = None,
) -> SecondOrderReport:
    """Compare ``double_backward`` with central differences of ``backward``.

    ``backward`` is a function of the inputs and of ``grad_y``, and ``double_backward`` its
    gradient: this is :func:`~numseg.testing.gradcheck` of the two. In addition, the Hessian of
    ``<grad_y, y>``, by differences of ``backward``, must be symmetric, across all arguments: that
    holds only if ``backward`` is the gradient of something, so a pair is worth checking too.

    Parameters
    ----------
    function : Operator, (forward, backward, double_backward), or (forward, backward)
        ``double_backward(saved, grad_y, grad_grads)`` gets a dictionary with the gradient of a
        scalar with respect to what ``backward`` returned for each argument, by name. It returns
        the gradients of that scalar: one for each input that is an array of floats (None for 0),
        and last the one for ``grad_y``. Of a pair only the symmetry is checked.
    inputs, eps, tolerance, directions, jacobian, seed, dtype
        As for :func:`~numseg.testing.gradcheck`.

    Returns
    -------
    SecondOrderReport
        True if both agree and no kink of ``backward`` is near.

    Examples
    --------
    >>> import numpy as np
    >>> from numseg.testing import second_order_check
    >>> forward = lambda a, b: (a * b, (a, b))
    >>> backward = lambda saved, g: (saved[1] * g, saved[0] * g)
    >>> def double_backward(saved, g, along):
    ...     (a, b), da, db = saved, along["a"], along["b"]
    ...     return g * db, g * da, b * da + a * db
    >>> inputs = [np.array([1.0, 2.0]), np.array([3.0, -1.0])]
    >>> bool(second_order_check((forward, backward, double_backward), inputs))
    True
    """
    subject = Subject(function, inputs, dtype)
    y, saved = subject.start()
    options = {"eps": eps, "tolerance": tolerance, "directions": directions, "jacobian": jacobian,
               "seed": seed, "dtype": str(subject.dtype)}  # fmt: skip
    precision, step, bound = settings(subject, y, eps, tolerance)
    grad_y = direction(np.random.default_rng([seed, 0]), y.shape, y.dtype)
    gradients = subject.gradients(saved, grad_y)
    slots = [slot for slot in subject.slots if slot in gradients]
    report = None
    if isinstance(function, Operator) or not isinstance(function, tuple) or len(function) > 2:
        second: Any = Backward(subject, slots, subject.third("double_backward"))
        report = gradcheck(
            second,
            {**subject.arguments, "grad_y": grad_y},
            eps=eps,
            tolerance=tolerance,
            directions=directions,
            jacobian=jacobian,
            seed=seed,
            dtype=dtype,
            results="all",
        )
    return SecondOrderReport(
        function=subject.name,
        inputs=str(subject),
        dtype=str(precision),
        seed=seed,
        tolerance=bound,
        gradient=report,
        symmetry=_symmetry(subject, slots, grad_y, gradients, step, bound, seed),
        code=reproduce.code(second_order_check, subject, options),
        subject=subject,
    )


def _symmetry(
    subject: Subject,
    slots: list[Slot],
    grad_y: Array,
    gradients: dict[Slot, Array],
    eps: float,
    tolerance: float,
    seed: int,
) -> Comparison | None:
    """The Hessian along two directions through all arguments, by differences of backward."""
    rng = np.random.default_rng([seed, 2])
    here = _joined(gradients, slots)
    ways: list[dict[Slot, Array]] = [{}, {}]
    for slot in slots:
        x = subject.array(slot)
        for way in ways:
            way[slot] = subject.movable(slot, direction(rng, x.shape, x.dtype))
    weight = np.concatenate(
        [np.maximum(abs(subject.array(s)), 1).reshape(-1) for s in slots] or [[]]
    )
    largest = float(np.max(abs(finite(here)), initial=0))
    products = []
    for way in ways:

        def at(t: float, way: dict[Slot, Array] = way) -> Array:
            moved = {
                slot: (subject.array(slot) + t * eps * step).astype(subject.dtype)
                for slot, step in way.items()
            }
            return _joined(subject.pullback(grad_y, moved), slots)

        line = Line(at, here, eps)
        if line.bends(tolerance * eps * 2 * largest):
            return None
        products.append(line.derivative())
    u, v = (_joined(way, slots) for way in ways)
    left, right = float(np.sum(u * products[1])), float(np.sum(v * products[0]))
    scale = size_of(here) + sum(size_of(finite(p) * weight) for p in products)
    return Comparison("all", relative(left, right, scale), left, right, "the Hessian")


def _joined(arrays: dict[Slot, Array], slots: list[Slot]) -> Array:
    parts = [arrays[slot].reshape(-1).astype(np.float64) for slot in slots]
    return np.concatenate([np.zeros(0), *parts])
