"""hard_sigmoid on the CPU. A unit is one number. No multiply-add is fused: where the line meets 0
and 1 must be where it is by definition."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.hard_sigmoid import Geometry
from numseg.ops.hard_sigmoid.rules import clamped
from numseg.typing import Array


@kernel()
def _forward(start, stop, x, y, g):
    x, y = x[start:stop], y[start:stop]  # a loop from 0 has no negative index: it vectorises
    for i in range(len(x)):
        y[i] = clamped(g.alpha * x[i] + g.beta)


@kernel()
def _backward(start, stop, x, gy, gx, g):
    x, gy, gx = x[start:stop], gy[start:stop], gx[start:stop]
    for i in range(len(x)):
        t = g.alpha * x[i] + g.beta
        gx[i] = g.alpha * gy[i] if t > 0.0 and t < 1.0 else 0.0


def forward(x: Array, y: Array, g: Geometry) -> None:
    launch(_forward, g.size, g.size, x.reshape(-1), y.reshape(-1), g)


def backward(x: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.size, g.size, x.reshape(-1), gy.reshape(-1), gx.reshape(-1), g)
