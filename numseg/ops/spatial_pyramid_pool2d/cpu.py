"""spatial_pyramid_pool2d on the CPU: level after level, by kernels/pooling/bins.py.

No composite of adaptive pools: they have no Caffe bins, and a pixel's gradient is the sum over the
bins of all levels in their order, which is not that of adding up one sum per level.
"""

from __future__ import annotations

from numseg.kernels.pooling.bins import average, average_gradient, largest, largest_gradient
from numseg.ops.spatial_pyramid_pool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, y: Array, switches: Array, g: Geometry) -> None:
    bins = g.rule()
    for level, offset in zip(g.levels, g.offsets(), strict=False):
        rows, columns = bins(g.h, level), bins(g.w, level)
        if g.maximum:
            largest(x, rows, columns, y, switches, offset)
        else:
            average(x, rows, columns, y, offset)


def backward(switches: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    bins = g.rule()
    for number, (level, offset) in enumerate(zip(g.levels, g.offsets(), strict=False)):
        if g.maximum:
            largest_gradient(switches, gy, gx, level * level, offset, add=number > 0)
        else:
            rows, columns = bins(g.h, level), bins(g.w, level)
            average_gradient(gy, rows, columns, gx, offset, add=number > 0)
