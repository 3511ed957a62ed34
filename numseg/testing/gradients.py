"""Gradients against central differences, and against the slopes at kinks."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.forks import cached_property
from numseg.testing import reproduce
from numseg.testing.lines import Bend, Line
from numseg.testing.report import Report
from numseg.testing.subject import (
    Function,
    Inputs,
    Slot,
    Subject,
    change,
    direction,
    finite,
    place,
    relative,
    size_of,
    unit,
)
from numseg.typing import Array

SHOWN = 4
"""Kinks that a report describes; the others are counted."""

JUDGED = 32
"""Kinks on a line at which backward is compared with the slopes."""


class Comparison(NamedTuple):
    """Where backward and the differences disagree most, for one argument."""

    argument: str
    error: float
    """``|numeric - analytic| / scale``."""
    numeric: float
    analytic: float
    where: str


class Kink(NamedTuple):
    """A result that has no derivative within two steps of the inputs."""

    argument: str
    kind: str
    """"kink" if the slope changes at once, "jump" if the value does."""
    result: str
    """Which number of the result, such as ``y[0, 1]``."""
    where: str
    """Which number of the argument, or the direction."""
    distance: float
    """How far the argument moves to get there."""
    before: float
    after: float
    """The slopes on the two sides."""
    analytic: float
    """What backward says."""
    fits: bool
    """Is that between the slopes on the two sides?"""

    def __str__(self) -> str:
        there = "at the inputs" if self.distance == 0 else f"{self.distance:.1e} from the inputs"
        says = "" if self.fits else "  <- not between them"
        return (
            f"{self.kind} {there}, {self.where}: {self.result} has slope {self.before:.6g} before "
            f"and {self.after:.6g} after, backward says {self.analytic:.6g}{says}"
        )


@dataclasses.dataclass(frozen=True, repr=False)
class GradientReport(Report):
    """What :func:`gradcheck` found; true if every gradient is right, and printable."""

    eps: float
    comparisons: tuple[Comparison, ...]
    kinks: tuple[Kink, ...]
    """One for each result that has a kink, the worst first."""

    @property
    def status(self) -> str:
        """ "pass", "fail", or "kink": there is a kink within two steps of the inputs, and backward
        states one of the derivatives that make sense there, and is right everywhere else."""
        good = all(c.error <= self.tolerance for c in self.comparisons)
        if not good or not all(kink.fits for kink in self.kinks):
            return "fail"
        return "kink" if self.kinks else "pass"

    @property
    def error(self) -> float:
        """The largest error of all arguments, away from kinks."""
        return max((c.error for c in self.comparisons), default=0.0)

    def lines(self) -> list[str]:
        lines = [
            f"{self.function}: {self._verdict()}",
            f"  {'argument':<12} {'error':>8}  {'numeric':>23}  {'backward':>23}  worst at",
        ]
        for c in self.comparisons:
            bad = "" if c.error <= self.tolerance else "  <- too large"
            lines.append(
                f"  {c.argument:<12} {c.error:8.1e}  {c.numeric:23.16g}  {c.analytic:23.16g}  "
                f"{c.where}{bad}"
            )
        lines += [f"  {kink}" for kink in self.kinks[:SHOWN]]
        if len(self.kinks) > SHOWN:
            lines.append(f"  and {len(self.kinks) - SHOWN} more results with kinks")
        return [*lines, f"  tolerance {self.tolerance:.2e}, eps {self.eps:.3g}, {self.dtype}"]

    def _verdict(self) -> str:
        if self.status == "pass":
            return "backward and central differences agree"
        if self.status == "fail":
            return "backward and central differences DISAGREE"
        first = self.kinks[0]
        return (
            f"{first.kind} within 2 eps of the inputs at {first.where} ({first.result}); "
            "backward agrees with the slopes beside it, and with central differences elsewhere"
        )


def gradcheck(
    function: Function,
    inputs: Inputs,
    *,
    eps: float | None = None,
    tolerance: float | None = None,
    directions: int = 3,
    jacobian: int = 64,
    seed: int = 0,
    dtype: Any = None,
    results: str = "first",
) -> GradientReport:
    """Compare every gradient with central differences.

    For a random ``grad_y`` and random directions ``v`` the derivative of ``sum(grad_y * y)`` along
    ``v`` must be ``sum(gradient * v)``. Where an argument and the result are both small, every
    entry of the Jacobian is compared too, so that the report names the pixel that is wrong.

    Parameters
    ----------
    function : Operator, or (forward, backward)
        For functions of your own: ``y, saved = forward(*inputs)`` (of several results in a tuple
        the first counts) and ``gradients = backward(saved, grad_y)``, with one gradient for each
        input that is an array of floats, or None for one that has none. They are given NumPy
        arrays, and may return arrays of other libraries.
    inputs : sequence or mapping
        All arguments of the call, in order or by name, parameters included. Arrays of floats are
        converted to ``dtype``. Keep them of the order of 1.
    eps : float, optional
        The step. The cube root of the machine epsilon by default (6.1e-6 in float64).
    tolerance : float, optional
        Largest error that passes; by default ``100 * machine epsilon / eps`` (3.7e-9 in float64).
    directions : int
        Random directions for each argument.
    jacobian : int
        Compare the whole Jacobian for arguments, and results, of at most so many numbers.
    seed : int
        Of ``grad_y`` and the directions.
    dtype : dtype, optional
        What arrays of floats are converted to. float64 by default; the machine epsilon is that of
        the result, for functions that compute in float32 whatever they are given.
    results : {"first", "all"}
        "all" takes every result of floats into account; ``backward`` is given a tuple with as many
        entries as there are results (None for one of integers).

    Returns
    -------
    GradientReport
        True if all errors are within the tolerance and no kink is near. Printing it shows, for each
        argument, the worst error, both values, where, and a program that repeats the check.
        ``report.status`` is "pass", "kink" or "fail".

    Notes
    -----
    Two central differences, with steps ``eps`` and ``2 eps``, are extrapolated, so the error of
    truncation falls with ``eps**4`` and what remains is rounding: each result, and each input that
    a step is added to, is off by some machine epsilons of its size, and the difference divides
    that by ``eps``. So errors are relative to ``sum |grad_y y| + sum |gradient| max(|x|, 1)`` (for
    the Jacobian: to the largest ``|y|`` plus the largest ``|entry| max(|x|, 1)``), and the
    tolerance allows a hundred machine epsilons.

    Kinks: where a difference of third or fourth order does not vanish as a smooth function's does,
    the line is sampled at 25 points. A result that bends or jumps at one place of it, and nowhere
    else, is left out of the comparison. Instead, what backward states for it must lie between the
    smallest and the largest slope in that direction, found on the line and beside the inputs: it
    must be a derivative that the function has somewhere around the kink, or a mean of some. That
    is asked of more directions than usual, one of them straight through a tie. If it holds, the
    status is "kink": differences cannot tell more there.

    A result that is the same infinity or NaN on both sides of a step does not change.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> bool(ns.gradcheck(ns.relu, [np.array([-1.0, 2.0])]))
    True
    >>> ns.gradcheck(ns.relu, [np.array([0.0, 2.0])]).status
    'kink'
    >>> def forward(x):
    ...     return x**2, x
    >>> def backward(x, grad_y):
    ...     return 3 * x * grad_y  # 2 would be right
    >>> ns.gradcheck((forward, backward), [np.array([-1.0, 2.0])]).status
    'fail'
    """
    subject = Subject(function, inputs, dtype, results)
    y, saved = subject.start()
    options = {"eps": eps, "tolerance": tolerance, "directions": directions, "jacobian": jacobian,
               "seed": seed, "dtype": str(subject.dtype), "results": results}  # fmt: skip
    precision, eps, tolerance = settings(subject, y, eps, tolerance)
    checks.integer("directions", directions, minimum=1)
    grad_y = direction(np.random.default_rng([seed, 0]), y.shape, y.dtype)
    gradients = subject.gradients(saved, grad_y)
    comparisons: list[Comparison] = []
    kinks: list[Kink] = []
    for number, slot in enumerate(subject.slots):
        if slot in gradients:
            rng = np.random.default_rng([seed, 1 + number])
            check = Argument(subject, slot, y, grad_y, gradients[slot], eps, tolerance, rng)
            check.run(directions, jacobian)
            comparisons.append(check.worst())
            kinks += check.kinks.values()
    return GradientReport(
        function=subject.name,
        inputs=str(subject),
        dtype=str(precision),
        eps=eps,
        seed=seed,
        tolerance=tolerance,
        comparisons=tuple(comparisons),
        kinks=tuple(sorted(kinks, key=lambda k: (k.fits, k.kind != "jump"))),
        code=reproduce.code(gradcheck, subject, options),
        subject=subject,
    )


def settings(
    subject: Subject, y: Array, eps: float | None, tolerance: float | None
) -> tuple[np.dtype[Any], float, float]:
    """What a function computes in, and the step and the tolerance for that, unless given."""
    precision = subject.precision(y)
    ulp = float(np.finfo(precision).eps)
    eps = float(np.cbrt(ulp)) if eps is None else checks.real("eps", eps, minimum=ulp)
    return precision, eps, 100 * ulp / eps if tolerance is None else tolerance


class Probe:
    """A line through the inputs, and what was found on it."""

    def __init__(self, check: Argument, step: Array, where: str) -> None:
        self.check, self.where = check, where
        self.step = check.subject.movable(check.slot, step)
        self.line = check.line(self.step)
        self.bends = {bend.flat: bend for bend in self.line.bends(check.bound)}

    @cached_property
    def slopes(self) -> Array:
        """Of each result, in the direction of the step."""
        return self.line.derivative()

    @cached_property
    def beside(self) -> list[Array]:
        """The same beside the inputs, in many directions from them."""
        rng, shape = np.random.default_rng(0), self.step.shape
        ways = [np.ones(shape), -np.ones(shape), self.step, -self.step]
        ways += [direction(rng, shape, np.float64) for _ in range(8)]
        return [self.check.slopes_beside(way, self.step) for way in ways]


class Argument:
    """The gradient of one argument."""

    def __init__(
        self,
        subject: Subject,
        slot: Slot,
        y: Array,
        grad_y: Array,
        gradient: Array,
        eps: float,
        tolerance: float,
        rng: np.random.Generator,
    ) -> None:
        self.subject, self.slot, self.y, self.x = subject, slot, y, subject.array(slot)
        self.grad_y, self.gradient, self.rng = grad_y, gradient, rng
        self.eps, self.tolerance = eps, tolerance
        self.comparisons: list[Comparison] = []
        self.kinks: dict[int, Kink] = {}
        self.rows: dict[int, Array] = {}
        self.weight = np.maximum(np.abs(self.x), 1)
        self.scale = _largest(finite(y)) + _largest(finite(gradient) * self.weight)

    def run(self, directions: int, jacobian: int) -> None:
        small = 0 < max(self.y.size, self.x.size) <= jacobian and self.x.size * self.y.size > 0
        units = [Probe(self, unit(self.x, i), self.name(i)) for i in range(self.x.size * small)]
        lines = [self.probe(f"direction {k}") for k in range(directions)]
        kinked = self.bent(units + lines)
        if kinked:  # at a tie, a wrong share of the gradient shows in some directions only
            lines.append(Probe(self, np.ones_like(self.x), "all ones"))
            lines += [self.probe(f"direction {k}") for k in range(directions, directions + 4)]
            kinked = self.bent(units + lines)
        if small:
            self.entries(units, kinked)
        self.along(lines, kinked)
        for probe in units + lines:
            self.judge(probe, kinked)

    def probe(self, where: str) -> Probe:
        return Probe(self, direction(self.rng, self.x.shape, self.x.dtype), where)

    def bent(self, probes: list[Probe]) -> list[int]:
        """The results with a kink, in the order they were found."""
        return list(dict.fromkeys(flat for probe in probes for flat in probe.bends))

    def worst(self) -> Comparison:
        """The largest error; of those that are too large, one that has a place if there is one."""

        def rank(c: Comparison) -> tuple[bool, bool, float]:
            bad = not c.error <= self.tolerance
            return bad, bad and c.where.startswith("d "), c.error

        return max(self.comparisons, key=rank)

    def along(self, lines: list[Probe], kinked: list[int]) -> None:
        """Compare the sum of the results without a kink along each line."""
        weights, gradient = self.grad_y, self.gradient
        if kinked:
            weights = weights.copy()
            weights.reshape(-1)[kinked] = 0
            gradient = self.pullback(weights)
        scale = size_of(weights * finite(self.y)) + size_of(gradient * self.weight)
        for probe in lines:
            slopes = probe.slopes.reshape(self.y.shape)
            with np.errstate(invalid="ignore"):  # an infinite gradient is an error to report
                numeric = float(np.sum(weights * np.where(weights == 0, 0, slopes)))
                analytic = float(np.sum(gradient.astype(np.float64) * probe.step))
            self.compare(numeric, analytic, scale, probe.where)

    def entries(self, units: list[Probe], kinked: list[int]) -> None:
        """Compare every entry of the Jacobian, but for the rows of results with a kink."""
        numeric = np.stack([probe.slopes for probe in units], 1)
        analytic = np.stack([self.row(o).reshape(-1) for o in range(self.y.size)]).astype(float)
        sizes = np.abs(finite(analytic)) * self.weight.reshape(-1)
        with np.errstate(invalid="ignore"):
            apart = np.nan_to_num(np.abs(numeric - analytic), nan=np.inf)
        apart[numeric == analytic] = 0
        apart[kinked] = -1
        o, i = divmod(int(np.argmax(apart)), self.x.size)
        if apart[o, i] >= 0:
            where = f"d {self.subject.place(self.y, o)} / d {self.slot.label}{place(self.x, i)}"
            scale = _largest(finite(self.y)) + _largest(sizes)
            self.compare(float(numeric[o, i]), float(analytic[o, i]), scale, where)

    def compare(self, numeric: float, analytic: float, scale: float, where: str) -> None:
        error = relative(numeric, analytic, scale)
        self.comparisons.append(Comparison(self.slot.label, error, numeric, analytic, where))

    def judge(self, probe: Probe, kinked: list[int]) -> None:
        """At a kink, what backward states must lie between the slopes around it."""
        for flat in kinked[:JUDGED]:
            row = self.row(flat).astype(np.float64)
            analytic = float(np.sum(row * probe.step))
            slope = probe.slopes[flat]
            bend = probe.bends.get(flat) or Bend(flat, "kink", 0.0, slope, slope, slope, slope)
            fits = self.between(analytic, [bend.low, bend.high]) or self.between(
                analytic, [bend.low, bend.high, *(slopes[flat] for slopes in probe.beside)]
            )
            if not fits:  # the kinks of several parts of it may lie here: where is it right?
                rng = np.random.default_rng(1)
                ways = [row + 0.3 * direction(rng, row.shape, np.float64) for _ in range(8)]
                near = [self.slopes_beside(way, probe.step)[flat] for way in (row, *ways)]
                near += [slopes[flat] for slopes in probe.beside]
                fits = self.between(analytic, [bend.low, bend.high, *near], self.eps)
            known = self.kinks.get(flat)
            if (known is None and flat in probe.bends) or (not fits and (not known or known.fits)):
                self.kinks[flat] = self.kink(probe, bend, analytic, fits)
        for flat in kinked[JUDGED:]:
            if flat in probe.bends and flat not in self.kinks:
                self.kinks[flat] = self.kink(probe, probe.bends[flat], np.nan, True)

    def between(self, analytic: float, slopes: list[Any], away: float = 0.0) -> bool:
        """Slopes that were found so far from the inputs may be off by that."""
        slack = 4 * (self.tolerance + away) * self.scale
        return bool(min(slopes) - slack <= analytic <= max(slopes) + slack)

    def kink(self, probe: Probe, bend: Bend, analytic: float, fits: bool) -> Kink:
        where = probe.where
        if not where.startswith(self.slot.label) and len(self.kinks) < SHOWN:
            where = self.culprit(probe.step, bend.flat) or where
        return Kink(
            argument=self.slot.label,
            kind=bend.kind,
            result=self.subject.place(self.y, bend.flat),
            where=where,
            distance=abs(bend.at) * self.eps,
            before=bend.before,
            after=bend.after,
            analytic=analytic,
            fits=fits,
        )

    def slopes_beside(self, way: Array, step: Array) -> Array:
        """The slopes along ``step``, half a step from the inputs."""
        largest = _largest(way)
        way = self.subject.movable(self.slot, way / largest) if largest > 0 else way
        h = self.eps / 32

        def at(t: float) -> Array:
            moved = self.x + self.eps / 2 * way + t * step
            return self.subject.run({self.slot: moved.astype(self.subject.dtype)})[0]

        return change(at(h), at(-h)).reshape(-1) / (2 * h)

    def culprit(self, step: Array, flat: int) -> str | None:
        """The number of the argument that makes a result bend when it moves alone, by halving."""
        moving = np.flatnonzero(step)
        while moving.size > 1:
            for half in np.array_split(moving, 2):
                part = np.zeros_like(step, order="C")
                part.reshape(-1)[half] = step.flat[half]
                if any(bend.flat == flat for bend in self.line(part).bends(self.bound)):
                    moving = half
                    break
            else:
                return None
        return self.name(int(moving[0]))

    def name(self, i: int) -> str:
        return f"{self.slot.label}{place(self.x, i)} = {float(self.x.flat[i])!r}"

    @property
    def bound(self) -> float:
        """What a difference of values may be off by, by rounding alone."""
        return self.tolerance * self.eps * self.scale

    def line(self, step: Array) -> Line:
        def at(t: float) -> Array:
            moved = self.x + (t * self.eps) * step
            return self.subject.run({self.slot: moved.astype(self.subject.dtype)})[0]

        return Line(at, self.y, self.eps)

    def row(self, flat: int) -> Array:
        """A row of the Jacobian, by backward."""
        if flat not in self.rows:
            self.rows[flat] = self.pullback(unit(self.y, flat))
        return self.rows[flat]

    def pullback(self, grad_y: Array) -> Array:
        found = self.subject.pullback(grad_y)
        return found[self.slot] if self.slot in found else np.zeros(self.x.shape)


def _largest(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0))
