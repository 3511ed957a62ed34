"""What kernels know of a call of crop_and_resize."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.errors import ArgumentError
from numseg.ops.roi_align.geometry import LIMIT
from numseg.typing import Array


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int
    outside: float
    nearest: bool
    right: bool
    single: bool


def check(x: Any, boxes: Array, box_indices: Array, g: Geometry) -> None:
    """Every box belongs to an image, and is somewhere."""
    wrong = (box_indices < 0) | (box_indices >= g.n)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise ArgumentError(
            f"box_indices[{k}] is {box_indices[k]}, expected the index of one of the {g.n} images"
        )
    pixels = np.array([g.h, g.w, g.h, g.w]) - 1
    wrong = ~(np.abs(boxes.astype(np.float64) * np.maximum(pixels, 1)) <= LIMIT)
    if wrong.any():
        k, j = (int(i) for i in np.argwhere(wrong)[0])
        raise ArgumentError(
            f"boxes[{k}, {j}] is {boxes[k, j]}, expected a number that times {pixels[j]} pixels "
            f"lies within {LIMIT:.0f}"
        )
