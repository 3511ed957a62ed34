"""What kernels know of a call of roi_align."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numseg.errors import ArgumentError
from numseg.typing import Array

LIMIT = 2.0**24
"""Boxes lie within so many pixels: beyond, float32 does not tell pixels apart."""


class Geometry(NamedTuple):
    n: int
    c: int
    h: int
    w: int
    k: int
    oh: int
    ow: int
    scale: float
    ratio: int
    aligned: bool
    single: bool
    maximum: bool
    corners: bool
    clamp: bool


def check(x: Any, boxes: Array, g: Any) -> None:
    """Every RoI belongs to an image, and its box is somewhere."""
    index, corners = boxes[:, 0], boxes[:, 1:]
    wrong = ~((index >= 0) & (index < g.n) & (index == np.floor(index)))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise ArgumentError(
            f"boxes[{k}, 0] is {index[k]}, expected the index of one of the {g.n} images of x"
        )
    wrong = ~(np.abs(corners.astype(np.float64) * g.scale) <= LIMIT)
    if wrong.any():
        k, j = (int(i) for i in np.argwhere(wrong)[0])
        raise ArgumentError(
            f"boxes[{k}, {j + 1}] is {corners[k, j]}, expected a number that times spatial_scale "
            f"{g.scale} lies within {LIMIT:.0f} pixels"
        )
