"""What kernels of where know of a call: how three arrays are walked through."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numseg.broadcasting import broadcast_shape
from numseg.geometry import derived
from numseg.typing import Shape


class Geometry(NamedTuple):
    """The shapes, as they broadcast."""

    condition: tuple[int, ...]
    x: tuple[int, ...]
    other: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        """Of the result."""
        both = broadcast_shape("x", self.x, "other", self.other)
        return broadcast_shape("condition", self.condition, "x and other", both)

    @derived
    def axes(self) -> tuple[tuple[int, int, int, int], ...]:
        """Of a result that is not empty: sizes, and how far apart neighbours lie in each array,
        0 where it is repeated. Outermost first, as few as will do, at least one."""
        shape, found = self.shape, list[Any]()
        whole = [(1,) * (len(shape) - len(own)) + own for own in self]
        steps = [1, 1, 1]
        for axis in range(len(shape) - 1, -1, -1):
            size, sizes = shape[axis], [own[axis] for own in whole]
            here = [step if own > 1 else 0 for step, own in zip(steps, sizes, strict=True)]
            steps = [step * own for step, own in zip(steps, sizes, strict=True)]
            inner = found[-1] if found else None
            if inner and here == [inner[0] * step for step in inner[1:]]:
                found[-1] = (size * inner[0], *inner[1:])
            elif size > 1:
                found.append((size, *here))
        return tuple(reversed(found)) or ((1, 0, 0, 0),)

    def of_gradient(self, chosen: bool) -> Geometry:
        """Where ``grad_y`` stands in the place of an array, and a zero in that of the other one."""
        return Geometry(self.condition, *((self.shape, ()) if chosen else ((), self.shape)))

    @property
    def size(self) -> int:
        """Numbers of the result."""
        return math.prod(self.shape)
