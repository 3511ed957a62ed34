"""hard_swish on the CPU. A unit is one number."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.hard_swish import Geometry
from numseg.ops.hard_swish.rules import slope, value
from numseg.typing import Array


@kernel()
def _forward(start, stop, x, y):
    x, y = x[start:stop], y[start:stop]  # a loop from 0 has no negative index: it vectorises
    for i in range(len(x)):
        y[i] = value(x[i])


@kernel()
def _backward(start, stop, x, gy, gx):
    x, gy, gx = x[start:stop], gy[start:stop], gx[start:stop]
    for i in range(len(x)):
        gx[i] = gy[i] * slope(x[i])


def forward(x: Array, y: Array, g: Geometry) -> None:
    launch(_forward, g.size, g.size, x.reshape(-1), y.reshape(-1))


def backward(x: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.size, g.size, x.reshape(-1), gy.reshape(-1), gx.reshape(-1))
