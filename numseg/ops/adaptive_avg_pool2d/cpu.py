"""adaptive_avg_pool2d on the CPU: the kernels are in numseg.kernels.pooling.bins."""

from __future__ import annotations

from numseg.geometry import adaptive_bins
from numseg.kernels.pooling.bins import average, average_gradient
from numseg.ops.adaptive_avg_pool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, y: Array, g: Geometry) -> None:
    rows, columns = adaptive_bins(g.h, g.oh), adaptive_bins(g.w, g.ow)
    average(x, rows, columns, y.reshape(g.n, g.c * g.oh * g.ow))


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        rows, columns = adaptive_bins(g.h, g.oh), adaptive_bins(g.w, g.ow)
        average_gradient(gy.reshape(g.n, g.c * g.oh * g.ow), rows, columns, gx)
