"""max_unpool2d on the CPU. A unit is a plane."""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.max_unpool2d import Geometry
from numseg.typing import Array


@kernel()
def _forward(start, stop, y, switches, x):
    for plane in range(start, stop):
        x[plane] = 0
        values, places, image = y[plane], switches[plane], x[plane]
        for i in range(len(values)):
            image[places[i]] = values[i]


@kernel()
def _backward(start, stop, switches, gx, gy):
    size = gx.shape[1]
    last = np.empty(size, np.int64)  # who wrote last; read only where somebody wrote
    for plane in range(start, stop):
        places, image, grads = switches[plane], gx[plane], gy[plane]
        # the caller may have written to the switches since forward checked them
        for i in range(len(places)):
            if 0 <= places[i] < size:
                last[places[i]] = i
        for i in range(len(places)):
            on_plane = 0 <= places[i] < size
            grads[i] = image[places[i]] if on_plane and last[places[i]] == i else 0


def forward(y: Array, switches: Array, x: Array, g: Geometry) -> None:
    small, large = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    launch(_forward, g.n * g.c, x.size, y.reshape(small), switches.reshape(small),
           x.reshape(large))  # fmt: skip


def backward(switches: Array, gx: Array, gy: Array | None, g: Geometry) -> None:
    if gy is None:
        return
    small, large = (g.n * g.c, g.h * g.w), (g.n * g.c, g.oh * g.ow)
    launch(_backward, g.n * g.c, 2 * gy.size, switches.reshape(small), gx.reshape(large),
           gy.reshape(small))  # fmt: skip
