"""adaptive_avg_pool2d on CUDA: the kernels are in numseg.cuda.bins."""

from __future__ import annotations

from typing import Any

from numseg.cuda.bins import Bins, average, average_gradient
from numseg.geometry import adaptive_bins
from numseg.ops.adaptive_avg_pool2d.geometry import Geometry


def forward(x: Any, y: Any, g: Geometry) -> None:
    average(x, y, adaptive_bins, Bins(*g, g.c * g.oh * g.ow))


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        average_gradient(gy, gx, adaptive_bins, Bins(*g, g.c * g.oh * g.ow))
