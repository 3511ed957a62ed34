"""sum and mean on the CPU: sums are what comes back to an array that add repeated, and their
gradient is a quotient that divide repeats."""

from __future__ import annotations

import numpy as np

from numseg.broadcasting import Geometry as Broadcast
from numseg.faces import module
from numseg.ops.add import add
from numseg.ops.divide import divide
from numseg.over_axes import Geometry
from numseg.typing import Array


def forward(x: Array, y: Array, g: Geometry) -> None:
    if x.size == y.size:  # one number in each sum
        y.reshape(-1)[...] = x.reshape(-1)
        return
    sums = np.empty(y.shape)  # float64, so that a mean is rounded once
    module(add, "cpu").backward(x, None, sums, Broadcast(g.shape, g.kept))
    with np.errstate(all="ignore"):  # infinities and NaN come and go as in kernels
        y[...] = sums / np.float64(g.number)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        number = np.full(g.reduced, g.number, gy.dtype)
        number.flags.writeable = False  # as inputs are
        module(divide, "cpu").forward(gy, number, gx, Broadcast(g.kept, g.reduced))
