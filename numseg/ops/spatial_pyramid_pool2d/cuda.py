"""spatial_pyramid_pool2d on CUDA: level after level, by numseg.cuda.bins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numseg.cuda.bins import Bins, average, average_gradient, largest, largest_gradient
from numseg.ops.spatial_pyramid_pool2d.geometry import Geometry


def forward(x: Any, y: Any, switches: Any, g: Geometry) -> None:
    for bins in _levels(g):
        if g.maximum:
            largest(x, y, switches, g.rule(), bins)
        else:
            average(x, y, g.rule(), bins)


def backward(switches: Any, gy: Any, gx: Any, g: Geometry) -> None:
    for bins in _levels(g) if gx is not None else ():
        if g.maximum:
            largest_gradient(switches, gy, gx, g.rule(), bins)
        else:
            average_gradient(gy, gx, g.rule(), bins)


def _levels(g: Geometry) -> Iterator[Bins]:
    """The bins of each level, whose gradients are added to those of the levels before."""
    *offsets, row = g.offsets()
    for number, (level, offset) in enumerate(zip(g.levels, offsets, strict=True)):
        yield Bins(*g[:4], level, level, row, offset, add=number > 0)
