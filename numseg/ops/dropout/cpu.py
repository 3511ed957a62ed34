"""dropout on the CPU."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.dropout.geometry import Geometry
from numseg.ops.dropout.rules import stream, uniform
from numseg.typing import Array


@kernel()
def _apply(start, stop, x, y, g):
    key, below = stream(g.seed), g.p * 2.0**53
    x, y = x[start:stop], y[start:stop]
    for i in range(len(x)):
        y[i] = x[i] * g.scale if uniform(key, start + i) >= below else 0


@kernel()
def _apply_to_runs(start, stop, x, y, g):
    key, below = stream(g.seed), g.p * 2.0**53
    for unit in range(start, stop):
        kept = uniform(key, unit) >= below
        for i in range(unit * g.run, (unit + 1) * g.run):
            y[i] = x[i] * g.scale if kept else 0


def forward(x: Array, y: Array, g: Geometry) -> None:
    kernel, units = (_apply, g.size) if g.run <= 1 else (_apply_to_runs, g.size // g.run)
    launch(kernel, units, g.size, x.reshape(-1), y.reshape(-1), g)


def backward(gy: Array, gx: Array | None, g: Geometry) -> None:
    if gx is not None:
        forward(gy, gx, g)
