"""leaky_relu on the CPU. A unit is one number."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.leaky_relu import Geometry
from numseg.ops.leaky_relu.rules import slope_at
from numseg.typing import Array


@kernel()
def _times_slope(start, stop, x, factor, out, g):
    """``factor`` is x itself forward, and the gradient backward."""
    x, factor, out = x[start:stop], factor[start:stop], out[start:stop]
    for i in range(len(x)):
        out[i] = factor[i] * slope_at(x[i], g.slope)


def forward(x: Array, y: Array, g: Geometry) -> None:
    x = x.reshape(-1)
    launch(_times_slope, g.size, g.size, x, x, y.reshape(-1), g)


def backward(x: Array, gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        launch(_times_slope, g.size, g.size, x.reshape(-1), gy.reshape(-1), gx.reshape(-1), g)
