"""center_crop by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from numseg.ops.pad import Geometry
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    top, left = -g.pt, -g.pl
    return x[:, :, top : top + g.oh, left : left + g.ow]


def backward(gy: Array, g: Geometry) -> Array:
    gx = np.zeros((*gy.shape[:2], g.h, g.w))
    forward(gx, g)[...] = gy
    return gx


def matrix(g: Geometry) -> Any:
    """The rows of the identity that belong to pixels of the crop."""
    from scipy import sparse

    pixels = np.arange(g.planes * g.h * g.w).reshape(g.planes, 1, g.h, g.w)
    identity = sparse.eye(pixels.size, format="csr")
    return identity[forward(pixels, g).ravel()]
