"""pixel_unshuffle2d by its definition: the transpose of pixel_shuffle2d, which is its inverse."""

from __future__ import annotations

from typing import Any

from numseg.ops.pixel_shuffle2d import reference as shuffle
from numseg.ops.pixel_shuffle2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return shuffle.backward(x, g)


def backward(gy: Array, g: Geometry) -> Array:
    return shuffle.forward(gy, g)


def matrix(g: Geometry) -> Any:
    """A permutation."""
    return shuffle.matrix(g).T
