"""adaptive_max_pool2d on the CPU: the kernels are in numseg.kernels.pooling.bins."""

from __future__ import annotations

from numseg.geometry import adaptive_bins
from numseg.kernels.pooling.bins import largest, largest_gradient
from numseg.ops.adaptive_avg_pool2d.geometry import Geometry
from numseg.typing import Array


def forward(x: Array, y: Array, switches: Array, g: Geometry) -> None:
    flat = g.n, g.c * g.oh * g.ow
    rows, columns = adaptive_bins(g.h, g.oh), adaptive_bins(g.w, g.ow)
    largest(x, rows, columns, y.reshape(flat), switches.reshape(flat))


def backward(switches: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        flat = g.n, g.c * g.oh * g.ow
        largest_gradient(switches.reshape(flat), gy.reshape(flat), gx, g.oh * g.ow)
