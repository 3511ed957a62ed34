"""What arrays of boxes are checked for."""

from __future__ import annotations

import numpy as np

from numseg.errors import ArgumentError
from numseg.typing import Array, ArrayLike


def quadruples(name: str, array: ArrayLike) -> None:
    """Any leading axes, then four numbers."""
    if tuple(array.shape[-1:]) != (4,):
        raise ArgumentError(f"{name} has shape {tuple(array.shape)}, expected (..., 4)")


def finite(name: str, array: Array) -> None:
    """Every number is."""
    wrong = ~np.isfinite(array)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ArgumentError(f"{name}{list(place)} is {array[place]}, expected a finite number")


def upright(name: str, boxes: Array, positive: bool = False) -> None:
    """Corners in order: neither side negative, or, if asked, each positive."""
    low, high = boxes[..., :2], boxes[..., 2:]
    wrong = ~(low < high) if positive else ~(low <= high)
    if wrong.any():
        *place, axis = (int(i) for i in np.argwhere(wrong)[0])
        box, letter = boxes[tuple(place)], "xy"[axis]
        raise ArgumentError(
            f"{name}{place} has {letter}1 {box[axis]} and {letter}2 {box[axis + 2]}, expected "
            f"{letter}1 {'<' if positive else '<='} {letter}2"
        )
