"""What kernels know of a call of permute."""

from __future__ import annotations

from typing import NamedTuple

from numseg.geometry import derived


class Axis(NamedTuple):
    """An axis of the result, and how far apart its neighbours lie in x and in the result."""

    size: int
    x: int
    y: int


class Geometry(NamedTuple):
    shape: tuple[int, ...]
    """Of x."""
    dims: tuple[int, ...]
    """Which axis of x each axis of the result is."""

    @derived
    def inverse(self) -> Geometry:
        """What brings the result back."""
        back = sorted(range(len(self.dims)), key=self.dims.__getitem__)
        return Geometry(tuple(self.shape[d] for d in self.dims), tuple(back))

    @derived
    def axes(self) -> tuple[Axis, ...]:
        """Those of a result that is not empty, outermost first, as few as will do: neighbours that
        stay neighbours are one, and those of one number are none. At least one."""
        steps = {}
        step = 1
        for d in reversed(range(len(self.shape))):
            steps[d], step = step, step * self.shape[d]
        found: list[Axis] = []
        step = 1
        for d in reversed(self.dims):
            size = self.shape[d]
            if found and steps[d] == found[-1].size * found[-1].x:
                found[-1] = found[-1]._replace(size=size * found[-1].size)
            elif size > 1:
                found.append(Axis(size, steps[d], step))
            step *= size
        return tuple(reversed(found)) or (Axis(1, 1, 1),)
