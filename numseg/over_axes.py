"""What kernels know of a call of an operator over axes: sum, mean, amax, amin."""

from __future__ import annotations

from typing import NamedTuple

from numseg.geometry import derived


class Axis(NamedTuple):
    """Some axes of x that are walked through as one."""

    size: int
    step: int
    """How far apart neighbours lie in x."""
    reduced: bool


class Geometry(NamedTuple):
    """A call: the shape of x, what is reduced, and a number."""

    shape: tuple[int, ...]
    """Of x."""
    dims: tuple[int, ...]
    """The axes that are reduced."""
    number: int
    """What a sum is divided by; 1 or -1 where an extreme is a maximum or a minimum."""

    @derived
    def kept(self) -> tuple[int, ...]:
        """The shape of the result, with 1 in the place of what is reduced."""
        return tuple(1 if d in self.dims else size for d, size in enumerate(self.shape))

    @derived
    def reduced(self) -> tuple[int, ...]:
        """The sizes of what is reduced, with 1 in the place of what is kept."""
        return tuple(size if d in self.dims else 1 for d, size in enumerate(self.shape))

    @derived
    def axes(self) -> tuple[Axis, ...]:
        """Those of an x that is not empty, outermost first, as few as will do. At least one."""
        found: list[Axis] = []
        step = 1
        for d in reversed(range(len(self.shape))):
            size, reduced = self.shape[d], d in self.dims
            if found and found[-1].reduced is reduced:
                found[-1] = found[-1]._replace(size=size * found[-1].size)
            elif size > 1:
                found.append(Axis(size, step, reduced))
            step *= size
        return tuple(reversed(found)) or (Axis(1, 1, False),)
