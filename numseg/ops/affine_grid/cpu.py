"""affine_grid on the CPU, in float64."""

from __future__ import annotations

import numpy as np

from numseg.kernels.machine.jit import kernel
from numseg.kernels.machine.threads import launch
from numseg.ops.affine_grid.geometry import Geometry
from numseg.ops.affine_grid.rules import unit_place
from numseg.typing import Array


@kernel()
def _forward(start, stop, theta, y, g):
    """A unit is a row of an image."""
    for unit in range(start, stop):
        n, i = divmod(unit, g.h)
        row = unit_place(i, g.h, g.align, 0.0)
        for j in range(g.w):
            column = unit_place(j, g.w, g.align, 0.0)
            for c in range(2):
                t = 6 * n + 3 * c
                y[2 * (unit * g.w + j) + c] = theta[t] * column + theta[t + 1] * row + theta[t + 2]


@kernel()
def _backward(start, stop, gy, gtheta, g):
    """A unit is an image."""
    for n in range(start, stop):
        sums = np.zeros((2, 3))
        for i in range(g.h):
            row = unit_place(i, g.h, g.align, 0.0)
            for j in range(g.w):
                column = unit_place(j, g.w, g.align, 0.0)
                for c in range(2):
                    grad = np.float64(gy[2 * ((n * g.h + i) * g.w + j) + c])
                    sums[c, 0] += grad * column
                    sums[c, 1] += grad * row
                    sums[c, 2] += grad
        for c in range(2):
            for k in range(3):
                gtheta[6 * n + 3 * c + k] = sums[c, k]


def forward(theta: Array, y: Array, g: Geometry) -> None:
    launch(_forward, g.n * g.h, y.size, theta.reshape(-1), y.reshape(-1), g)


def backward(gy: Array, gtheta: Array | None, g: Geometry) -> None:
    if gtheta is not None:
        launch(_backward, g.n, gy.size, gy.reshape(-1), gtheta.reshape(-1), g)
