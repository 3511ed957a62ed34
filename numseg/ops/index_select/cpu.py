"""index_select on the CPU. A unit is all that lies behind the axes in front."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.index_select.geometry import Geometry
from numseg.typing import Array


@kernel()
def _take(start, stop, x, entries, y):
    for unit in range(start, stop):
        for k in range(len(entries)):
            source, target = x[unit, entries[k]], y[unit, k]
            for i in range(len(target)):
                target[i] = source[i]


@kernel()
def _add(start, stop, gy, entries, gx):
    for unit in range(start, stop):
        gx[unit] = 0
        for k in range(len(entries)):
            source, target = gy[unit, k], gx[unit, entries[k]]
            for i in range(len(target)):
                target[i] += source[i]


def forward(x: Array, index: Array, y: Array, g: Geometry) -> None:
    whole, taken = (g.outer, g.size, g.inner), (g.outer, g.taken, g.inner)
    launch(_take, g.outer, y.size, x.reshape(whole), entries(index, g), y.reshape(taken))


def backward(index: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        whole, taken = (g.outer, g.size, g.inner), (g.outer, g.taken, g.inner)
        work = gx.size + gy.size
        launch(_add, g.outer, work, gy.reshape(taken), entries(index, g), gx.reshape(whole))


def entries(index: Array, g: Geometry) -> Array:
    """All counted from the first one."""
    return np.where(index < 0, index + g.size, index).astype(np.int64)
