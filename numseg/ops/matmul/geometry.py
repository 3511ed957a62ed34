"""What kernels know of a call of matmul."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numseg.geometry import derived
from numseg.typing import Shape


class Geometry(NamedTuple):
    """The shapes of both arrays."""

    x: tuple[int, ...]
    other: tuple[int, ...]

    @property
    def left(self) -> Shape:
        """x as stacks of matrices: a vector is a row."""
        return (1, *self.x) if len(self.x) == 1 else self.x

    @property
    def right(self) -> Shape:
        """other as these: a vector is a column."""
        return (*self.other, 1) if len(self.other) == 1 else self.other

    @derived
    def shape(self) -> Shape:
        """Of the stack of products."""
        stack = np.broadcast_shapes(self.left[:-2], self.right[:-2])
        return (*stack, self.left[-2], self.right[-1])

    @derived
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Which matrix of x, and which of other, each product is of."""
        stack = self.shape[:-2]
        numbers = (
            np.broadcast_to(np.arange(math.prod(s[:-2])).reshape(s[:-2]), stack).ravel().tolist()
            for s in (self.left, self.right)
        )
        return tuple(zip(*numbers, strict=True))
