"""spatial_features on CUDA: bilateral_features of an image without colours."""

from __future__ import annotations

from typing import Any

from numseg.cuda.runtime import empty
from numseg.ops.bilateral_features import cuda as bilateral
from numseg.ops.bilateral_features.geometry import Geometry


def forward(x: Any, width: Any, y: Any, g: Geometry) -> None:
    bilateral.forward(empty((0,), y.dtype), width, y, g)


def backward(width: Any, gy: Any, gw: Any, g: Geometry) -> None:
    if gw is not None:
        bilateral.width_gradient(empty((0,), gy.dtype), width, gy, gw, g)
