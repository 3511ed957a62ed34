"""spatial_features on the CPU: bilateral_features of an image without colours."""

from __future__ import annotations

import numpy as np

from numseg.ops.bilateral_features import cpu as bilateral
from numseg.ops.bilateral_features.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, width: Array, y: Array, g: Geometry) -> None:
    bilateral.forward(_no_colours(width, g), width, y, g)


def backward(width: Array, gy: Array, gw: Array | None, g: Geometry) -> None:
    if gw is not None:
        gw[...] = bilateral.width_gradient(_no_colours(width, g), width, gy, g)


def _no_colours(width: Array, g: Geometry) -> Array:
    x = np.empty((1, 0, g.h, g.w), width.dtype)
    x.flags.writeable = False
    return x
