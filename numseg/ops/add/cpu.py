"""add on the CPU. A unit is one number."""

from __future__ import annotations

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.add import Geometry
from numseg.typing import Array


@kernel()
def _forward(start, stop, x, y, z):
    for i in range(start, stop):
        z[i] = x[i] + y[i]


@kernel()
def _copy(start, stop, gz, grad):
    for i in range(start, stop):
        grad[i] = gz[i]


def forward(x: Array, y: Array, z: Array, g: Geometry) -> None:
    launch(_forward, g.size, g.size, x.reshape(-1), y.reshape(-1), z.reshape(-1))


def backward(gz: Array, gx: Array | None, gy: Array | None, g: Geometry) -> None:
    for grad in (gx, gy):
        if grad is not None:
            launch(_copy, g.size, g.size, gz.reshape(-1), grad.reshape(-1))
