"""upsample_nearest2d on the CPU: rows and columns are looked up."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.sampling.gather_rows import gather, gather_gradient
from numseg.ops.upsample_nearest2d.geometry import Geometry
from numseg.ops.upsample_nearest2d.rules import source
from numseg.typing import Array


@kernel()
def _fill(start, stop, sources, size, line, factor, rounding):
    for o in range(start, stop):
        sources[o] = source(o, line, factor, rounding, size)


def forward(x: Array, y: Array, g: Geometry) -> None:
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    gather(x.reshape(image), y.reshape(out), *sources(g))


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is None:
        return
    image, out = (g.n * g.c, g.h, g.w), (g.n * g.c, g.oh, g.ow)
    gather_gradient(gy.reshape(out), gx.reshape(image), *sources(g))


def sources(g: Geometry) -> tuple[Array, Array]:
    """Which row each output row copies, and which column each output column."""
    rows, columns = np.empty(g.oh, np.int64), np.empty(g.ow, np.int64)
    launch(_fill, g.oh, g.oh, rows, g.h, g.rows, g.fy, g.rounding)
    launch(_fill, g.ow, g.ow, columns, g.w, g.columns, g.fx, g.rounding)
    return rows, columns
