"""A function along a line through its inputs: its derivative there, and the kinks nearby.

For a smooth function all differences of third and higher order vanish with a power of the step.
Where they do not, the line is sampled at many points, and every result that bends at one place, and
nowhere else, has a kink (or a jump) there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from numseg.testing.subject import change
from numseg.typing import Array

GRID = np.arange(-12, 13) / 4
"""Where a line is sampled, in steps: further than the differences, which use -2 to 2."""
SPACING = 0.25


class Bend(NamedTuple):
    """A kink or a jump of one result on a line."""

    flat: int
    """Which number of the result."""
    kind: str
    """"kink" or "jump"."""
    at: float
    """Where on the line, in steps from the inputs; 0 if it cannot be told from there."""
    before: float
    after: float
    """The slopes on the two sides, where they are furthest from each other."""
    low: float
    high: float
    """The smallest and the largest slope nearby. What backward states must lie between them."""


class Line:
    """``y(x + t * eps * direction)`` as a function of t."""

    def __init__(self, at: Callable[[float], Array], y: Array, eps: float) -> None:
        self._at, self._eps, self._y = at, eps, y.reshape(-1)
        self._known: dict[float, Array] = {0.0: self._y}

    def value(self, t: float) -> Array:
        if t not in self._known:
            self._known[t] = self._at(t).reshape(-1)
        return self._known[t]

    def derivative(self) -> Array:
        """Of each result, in float64: central differences with two steps, extrapolated."""
        near = change(self.value(1.0), self.value(-1.0))
        far = change(self.value(2.0), self.value(-2.0))
        return (8 * near - far) / (12 * self._eps)

    @np.errstate(invalid="ignore", over="ignore")
    def bends(self, bound: float) -> list[Bend]:
        """The kinks and jumps within two steps that change a value by more than ``bound``."""
        left2, left, right, right2 = (
            change(self.value(t), self._y) for t in (-2.0, -1.0, 1.0, 2.0)
        )
        third = right2 - 2 * right + 2 * left - left2
        fourth = right2 - 4 * right - 4 * left + left2
        size = np.nan_to_num(np.maximum(abs(third), abs(fourth)), nan=np.inf)
        suspects = np.flatnonzero(size > bound)
        if not suspects.size:
            return []
        samples = np.array([change(self.value(t), self._y)[suspects] for t in GRID])
        found = [self._bend(int(flat), samples[:, j], bound) for j, flat in enumerate(suspects)]
        return [bend for bend in found if bend is not None]

    def _bend(self, flat: int, values: Array, bound: float) -> Bend | None:
        if not np.isfinite(values).all():
            at = GRID[np.argmin(np.where(np.isfinite(values), np.inf, abs(GRID)))]
            return Bend(flat, "jump", float(at), np.nan, np.nan, -np.inf, np.inf)
        slopes = np.diff(values) / (SPACING * self._eps)
        second = abs(np.diff(values, 2))
        peak = int(np.argmax(second))
        # of a smooth function, and of one that is rough all over, the whole line bends
        if second[peak] <= bound / 8 or np.median(second) > second[peak] / 8:
            return None
        around = slice(max(peak - 1, 0), peak + 2)
        at = float(np.average(GRID[1:-1][around], weights=second[around]))
        if abs(at) > 2.1:  # the differences do not see it
            return None
        elsewhere = np.delete(slopes, [peak, peak + 1])
        # at the kink itself the slopes have gone on changing as they do on their way to it
        sides = slopes[:peak], slopes[peak + 2 :]
        drift = 2 * max(float(np.max(abs(np.diff(side)), initial=0)) for side in sides)
        low, high = elsewhere.min() - drift, elsewhere.max() + drift
        inside = slopes[peak : peak + 2]
        excess = max(inside.max() - high, low - inside.min(), 0)
        kind = "jump" if excess * SPACING * self._eps > second[peak] / 4 else "kink"
        at = 0.0 if abs(at) < (0.01 if kind == "kink" else SPACING) else at
        return Bend(flat, kind, at, float(slopes[0]), float(slopes[-1]), low, high)
