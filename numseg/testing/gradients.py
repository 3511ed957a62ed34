"""Gradients against central differences."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from numseg import checks
from numseg.testing.subject import Function, Inputs, Slot, Subject, change, finite
from numseg.typing import Array


class Comparison(NamedTuple):
    """Where backward and the differences disagree most, for one argument."""

    argument: str
    error: float
    """``|numeric - analytic| / scale``."""
    numeric: float
    analytic: float
    where: str


@dataclasses.dataclass(frozen=True)
class GradientReport:
    """What :func:`gradcheck` found; true if every gradient is right, and printable."""

    function: str
    inputs: str
    dtype: str
    eps: float
    seed: int
    tolerance: float
    comparisons: tuple[Comparison, ...]

    @property
    def passed(self) -> bool:
        return all(c.error <= self.tolerance for c in self.comparisons)

    @property
    def error(self) -> float:
        """The largest error of all arguments."""
        return max((c.error for c in self.comparisons), default=0.0)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        verdict = "agree" if self.passed else "DISAGREE"
        lines = [
            f"{self.function}: backward and central differences {verdict}",
            f"  {'argument':<12} {'error':>8}  {'numeric':>23}  {'backward':>23}  worst at",
        ]
        for c in self.comparisons:
            bad = "" if c.error <= self.tolerance else "  <- too large"
            lines.append(
                f"  {c.argument:<12} {c.error:8.1e}  {c.numeric:23.16g}  {c.analytic:23.16g}  "
                f"{c.where}{bad}"
            )
        lines += [
            f"  tolerance {self.tolerance:.2e}, eps {self.eps:.3g}, {self.dtype}",
            f"  inputs: {self.inputs}",
            f"  repeat: gradcheck({self.function}, inputs, eps={self.eps!r}, seed={self.seed})",
        ]
        return "\n".join(lines)

    __repr__ = __str__


def gradcheck(
    function: Function,
    inputs: Inputs,
    *,
    eps: float | None = None,
    tolerance: float | None = None,
    directions: int = 3,
    jacobian: int = 64,
    seed: int = 0,
    dtype: Any = np.float64,
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
        input that is an array of floats, or None for one that has none.
    inputs : sequence or mapping
        All arguments of the call, in order or by name, parameters included. Arrays of floats are
        converted to ``dtype``. Keep them of the order of 1, and further than ``2 * eps`` from
        kinks and ties.
    eps : float, optional
        The step. The cube root of the dtype's machine epsilon by default (6.1e-6 in float64).
    tolerance : float, optional
        Largest error that passes; by default ``100 * machine epsilon / eps`` (3.7e-9 in float64).
    directions : int
        Random directions for each argument.
    jacobian : int
        Compare the whole Jacobian for arguments, and results, of at most so many numbers.
    seed : int
        Of ``grad_y`` and the directions.
    dtype : dtype
        float64, unless the functions can only do less.

    Returns
    -------
    GradientReport
        True if all errors are within the tolerance; printing it shows, for each argument, the worst
        error, both values, where, and how to repeat it.

    Notes
    -----
    Two central differences, with steps ``eps`` and ``2 eps``, are extrapolated, so the error of
    truncation falls with ``eps**4`` and what remains is rounding: each result, and each input that
    a step is added to, is off by some machine epsilons of its size, and the difference divides
    that by ``eps``. So errors are relative to ``sum |grad_y y| + sum |gradient| max(|x|, 1)`` (for
    the Jacobian: to the largest ``|y|`` plus the largest ``|entry| max(|x|, 1)``), and the
    tolerance allows a hundred machine epsilons.

    A result that is the same infinity or NaN on both sides of a step does not change.

    Examples
    --------
    >>> import numpy as np, numseg as ns
    >>> bool(ns.gradcheck(ns.relu, [np.array([-1.0, 2.0])]))
    True
    >>> def forward(x):
    ...     return x**2, x
    >>> def backward(x, grad_y):
    ...     return 3 * x * grad_y  # 2 would be right
    >>> bool(ns.gradcheck((forward, backward), [np.array([-1.0, 2.0])]))
    False
    """
    subject = Subject(function, inputs, dtype)
    unit = float(np.finfo(subject.dtype).eps)
    eps = float(np.cbrt(unit)) if eps is None else checks.real("eps", eps, minimum=unit)
    if tolerance is None:
        tolerance = 100 * unit / eps
    y, saved = subject.run()
    grad_y = _direction(np.random.default_rng([seed, 0]), y.shape, subject.dtype)
    gradients = subject.gradients(saved, grad_y)
    comparisons = []
    for number, slot in enumerate(subject.slots):
        if slot not in gradients:
            continue
        rng = np.random.default_rng([seed, 1 + number])
        found = [
            _along(subject, slot, f"direction {k}", rng, eps, y, grad_y, gradients[slot])
            for k in range(checks.integer("directions", directions, minimum=1))
        ]
        if max(y.size, gradients[slot].size) <= jacobian:
            found += _entries(subject, slot, eps, y, saved)
        comparisons.append(max(found, key=lambda c: (not c.error <= tolerance, c.error)))
    return GradientReport(
        function=subject.name,
        inputs=str(subject),
        dtype=str(subject.dtype),
        eps=eps,
        seed=seed,
        tolerance=tolerance,
        comparisons=tuple(comparisons),
    )


def _direction(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Numbers of either sign, none of which is small enough to hide a wrong partner."""
    return (rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.0, shape)).astype(dtype)


def _derivative(subject: Subject, slot: Slot, step: Array, eps: float) -> Array:
    """The derivative of each result along ``step``, in float64."""
    step = subject.movable(slot, step)

    def difference(h: float) -> Array:
        x = subject.array(slot)
        ahead, _ = subject.run(slot, (x + h * step).astype(subject.dtype))
        back, _ = subject.run(slot, (x - h * step).astype(subject.dtype))
        return change(ahead, back)

    return (8 * difference(eps) - difference(2 * eps)) / (12 * eps)


def _along(
    subject: Subject,
    slot: Slot,
    where: str,
    rng: np.random.Generator,
    eps: float,
    y: Array,
    grad_y: Array,
    gradient: Array,
) -> Comparison:
    """Compare along one random direction."""
    x = subject.array(slot)
    step = _direction(rng, x.shape, subject.dtype)
    numeric = float(np.sum(grad_y * _derivative(subject, slot, step, eps)))
    with np.errstate(invalid="ignore"):  # a gradient may be infinite: that is an error to report
        analytic = float(np.sum(gradient.astype(np.float64) * step))
    scale = _size(grad_y * finite(y)) + _size(gradient * np.maximum(np.abs(x), 1))
    return Comparison(slot.label, _error(numeric, analytic, scale), numeric, analytic, where)


def _entries(subject: Subject, slot: Slot, eps: float, y: Array, saved: Any) -> list[Comparison]:
    """Compare every entry of the Jacobian; the worst one, if there is any."""
    x = subject.array(slot)
    if x.size == 0 or y.size == 0:
        return []
    numeric = np.zeros((y.size, x.size))
    analytic = np.zeros((y.size, x.size))
    for i in range(x.size):
        numeric[:, i] = _derivative(subject, slot, _unit(x, i), eps).reshape(-1)
    for o in range(y.size):
        analytic[o] = subject.gradients(saved, _unit(y, o))[slot].reshape(-1)
    sizes = np.abs(finite(analytic)) * np.maximum(np.abs(x.reshape(-1)), 1)
    scale = float(np.max(np.abs(finite(y)), initial=0) + np.max(sizes, initial=0))
    o, i = divmod(int(np.argmax(_nan_first(numeric, analytic))), x.size)
    left, right = float(numeric[o, i]), float(analytic[o, i])
    where = f"d y{_place(y, o)} / d {slot.label}{_place(x, i)}"
    return [Comparison(slot.label, _error(left, right, scale), left, right, where)]


@np.errstate(invalid="ignore")
def _nan_first(numeric: Array, analytic: Array) -> Array:
    """How far apart two arrays are; a NaN is further than everything."""
    return np.nan_to_num(np.abs(numeric - analytic), nan=np.inf)


def _unit(like: Array, place: int) -> Array:
    unit = np.zeros_like(like)
    unit.reshape(-1)[place] = 1
    return unit


def _place(array: Array, flat: Any) -> str:
    return str([int(i) for i in np.unravel_index(flat, array.shape)]) if array.ndim else ""


def _size(array: Array) -> float:
    return float(np.sum(np.abs(array), dtype=np.float64))


def _error(numeric: float, analytic: float, scale: float) -> float:
    """Relative, and infinite for a NaN on one side only."""
    if numeric == analytic:
        return 0.0
    error = abs(numeric - analytic) / scale if scale > 0 else np.inf
    return float(error) if error == error else float("inf")
