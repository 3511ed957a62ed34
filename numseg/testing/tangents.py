"""Forward mode against central differences, and against backward."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from numseg import checks
from numseg.testing import reproduce
from numseg.testing.gradients import Argument, Comparison, Probe, settings
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
class TangentReport(Report):
    """What :func:`jvpcheck` found; true if forward mode is right, and printable."""

    eps: float
    comparisons: tuple[Comparison, ...]
    """Differences and jvp, for each argument: the number of the result that is furthest off."""
    products: tuple[Comparison, ...]
    """``<grad_y, jvp(v)>`` and ``<backward(grad_y), v>``, for each argument and for all."""
    sharp: float
    """The tolerance of the products, where no differences are taken."""
    kinks: tuple[str, ...]
    """Results that have no derivative here: those are compared with backward only."""

    @property
    def status(self) -> str:
        """ "pass", "fail", or "kink": differences could not tell for some results."""
        good = all(c.error <= self.tolerance for c in self.comparisons)
        if not good or not all(p.error <= self.sharp for p in self.products):
            return "fail"
        return "kink" if self.kinks else "pass"

    def lines(self) -> list[str]:
        said = {
            "pass": "jvp agrees with central differences and with backward",
            "kink": "kink within 2 eps of the inputs; jvp agrees with backward there, and with "
            "central differences elsewhere",
            "fail": "jvp DISAGREES with central differences, or with backward",
        }
        lines = [f"{self.function}: {said[self.status]}"]
        lines += [self._line(c, "differences", "jvp", self.tolerance) for c in self.comparisons]
        lines += [
            self._line(p, "<grad_y, jvp(v)>", "<gradients, v>", self.sharp) for p in self.products
        ]
        if self.kinks:
            lines.append(f"  kinks: {', '.join(self.kinks[:4])}, {len(self.kinks)} in all")
        return [
            *lines,
            f"  tolerance {self.tolerance:.2e} and {self.sharp:.2e}, eps {self.eps:.3g}, "
            f"{self.dtype}",
        ]

    def _line(self, c: Comparison, left: str, right: str, tolerance: float) -> str:
        bad = "" if c.error <= tolerance else "  <- too large"
        return (
            f"  {c.argument:<12} error {c.error:.1e}: {left} {c.numeric:.16g}, "
            f"{right} {c.analytic:.16g}, {c.where}{bad}"
        )


def jvpcheck(
    function: Function,
    inputs: Inputs,
    *,
    eps: float | None = None,
    tolerance: float | None = None,
    directions: int = 3,
    seed: int = 0,
    dtype: Any = None,
) -> TangentReport:
    """Compare forward mode with central differences, and with backward.

    Along random tangents ``v`` of each argument, every number of ``jvp(v)`` must be the derivative
    of that of the result, and ``<grad_y, jvp(v)>`` must be ``<backward(grad_y), v>``. The second
    holds at kinks too: forward and backward mode must choose the same side of a tie.

    Parameters
    ----------
    function : Operator, or (forward, backward, jvp)
        For functions of your own: as for :func:`~numseg.testing.gradcheck`, and
        ``tangent = jvp(saved, along)`` with a dictionary of tangents, one for every argument that
        is an array of floats, by its name in the signature of ``forward``.
    inputs, eps, tolerance, directions, seed, dtype
        As for :func:`~numseg.testing.gradcheck`. The products with backward, which take no
        differences, must agree within a thousand machine epsilons.

    Returns
    -------
    TangentReport
        True if everything agrees and no kink is near.

    Examples
    --------
    >>> import numpy as np
    >>> from numseg.testing import jvpcheck
    >>> forward = lambda x: (x**2, x)
    >>> backward = lambda x, grad_y: 2 * x * grad_y
    >>> jvp = lambda x, along: 2 * x * along["x"]
    >>> bool(jvpcheck((forward, backward, jvp), [np.array([-1.0, 2.0])]))
    True
    """
    subject = Subject(function, inputs, dtype)
    y, saved = subject.start()
    options = {"eps": eps, "tolerance": tolerance, "directions": directions, "seed": seed,
               "dtype": str(subject.dtype)}  # fmt: skip
    precision, eps, tolerance = settings(subject, y, eps, tolerance)
    checks.integer("directions", directions, minimum=1)
    grad_y = direction(np.random.default_rng([seed, 0]), y.shape, y.dtype)
    gradients = subject.gradients(saved, grad_y)
    comparisons: list[Comparison] = []
    products: list[Comparison] = []
    kinks: dict[str, None] = {}
    steps: dict[Slot, Array] = {}
    for number, slot in enumerate(subject.slots):
        if slot not in gradients:
            continue
        rng = np.random.default_rng([seed, 1 + number])
        check = Argument(subject, slot, y, grad_y, gradients[slot], eps, tolerance, rng)
        found = []
        for k in range(directions):
            probe = check.probe(f"direction {k}")
            steps[slot] = probe.step
            tangent = subject.pushforward({slot: probe.step})
            found.append(_furthest(probe, tangent))
            products.append(_product(slot.label, grad_y, tangent, gradients, {slot: probe.step}))
            kinks |= dict.fromkeys(subject.place(y, flat) for flat in probe.bends)
        comparisons.append(max(found, key=lambda c: c.error))
    if len(steps) > 1:
        products.append(_product("all", grad_y, subject.pushforward(steps), gradients, steps))
    return TangentReport(
        function=subject.name,
        inputs=str(subject),
        dtype=str(precision),
        eps=eps,
        seed=seed,
        tolerance=tolerance,
        sharp=1000 * float(np.finfo(precision).eps),
        comparisons=tuple(comparisons),
        products=tuple(_worst_of_each(products)),
        kinks=tuple(kinks),
        code=reproduce.code(jvpcheck, subject, options),
        subject=subject,
    )


def _furthest(probe: Probe, tangent: Array) -> Comparison:
    """The number of the result for which jvp and the differences are furthest apart."""
    check, flat = probe.check, tangent.reshape(-1).astype(np.float64)
    label = check.slot.label
    if len(probe.bends) == flat.size:
        return Comparison(label, 0.0, 0.0, 0.0, probe.where)
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(np.abs(probe.slopes - flat), nan=np.inf)
    apart[(probe.slopes == flat)] = 0
    apart[list(probe.bends)] = -1
    o = int(np.argmax(apart))
    numeric, stated = float(probe.slopes[o]), float(flat[o])
    scale = check.scale + float(np.max(np.abs(finite(flat))))
    error = relative(numeric, stated, scale)
    where = f"{check.subject.place(check.y, o)} along {probe.where}"
    return Comparison(label, error, numeric, stated, where)


def _product(
    label: str, grad_y: Array, tangent: Array, gradients: Any, steps: dict[Slot, Array]
) -> Comparison:
    pairs = [(gradients[slot].astype(np.float64), step) for slot, step in steps.items()]
    left = float(np.sum(grad_y.astype(np.float64) * tangent))
    right = sum(float(np.sum(gradient * step)) for gradient, step in pairs)
    scale = size_of(grad_y * finite(tangent)) + sum(size_of(finite(g) * step) for g, step in pairs)
    same = left != left and right != right
    error = 0.0 if same else relative(left, right, scale)
    return Comparison(label, error, left, right, "all results together")


def _worst_of_each(products: list[Comparison]) -> list[Comparison]:
    worst: dict[str, Comparison] = {}
    for product in products:
        if product.argument not in worst or product.error > worst[product.argument].error:
            worst[product.argument] = product
    return list(worst.values())
