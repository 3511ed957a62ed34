"""sigmoid on the CPU. A unit is one number."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.kernels.pointwise.elementary import exp
from numseg.ops.sigmoid import Geometry
from numseg.typing import Array


@kernel({"contract"})
def _forward(start, stop, x, y):
    one = x.dtype.type(1)
    x, y = x[start:stop], y[start:stop]  # a loop from 0 has no negative index: it vectorises
    for i in range(len(x)):
        e = exp(-abs(x[i]))
        y[i] = (e if x[i] < 0 else one) / (one + e)


@kernel({"contract"})
def _backward(start, stop, y, gy, gx):
    one = y.dtype.type(1)
    y, gy, gx = y[start:stop], gy[start:stop], gx[start:stop]
    for i in range(len(y)):
        gx[i] = gy[i] * y[i] * (one - y[i])


def forward(x: Array, y: Array, g: Geometry) -> None:
    launch(_forward, g.size, g.size, x.reshape(-1), y.reshape(-1))


def backward(y: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.size, g.size, y.reshape(-1), gy.reshape(-1), gx.reshape(-1))
