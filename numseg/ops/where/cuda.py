"""where on CUDA. A thread owns a number of the result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.broadcasting import Geometry as Broadcast
from numseg.cuda.arrays import Cuda
from numseg.cuda.broadcast import Walk, places, walk
from numseg.cuda.elementwise import ROW
from numseg.cuda.launch import Reals, kernel, launch, next_plane, thread
from numseg.faces import module
from numseg.ops.add import add
from numseg.ops.where.geometry import Geometry


@kernel
def _choose(condition: Reals, x: Reals, other: Reals, y: Reals, axes: Walk) -> None:
    place, row = thread()
    number = row * ROW + place
    while number < y.size:
        at, here, there = places(int32(number), axes)
        y[number] = x[here] if condition[at] != 0 else other[there]
        row = next_plane(row)
        number = row * ROW + place


def forward(condition: Any, x: Any, other: Any, y: Any, g: Geometry) -> None:
    if y.size:
        axes = walk(g.axes)
        launch(_choose, -(-y.size // ROW), min(y.size, ROW), condition, x, other, y, axes)


def backward(condition: Any, gy: Any, gx: Any, gother: Any, g: Geometry) -> None:
    zero = Cuda.from_host(np.zeros(1, gy.dtype))
    for grad, own, chosen in ((gx, g.x, True), (gother, g.other, False)):
        if grad is None:
            continue
        whole = grad if grad.size == gy.size else Cuda.empty(g.shape, gy.dtype)
        x, other = (gy, zero) if chosen else (zero, gy)
        forward(condition, x, other, whole, g.of_gradient(chosen))
        if whole is not grad:
            module(add, "cuda").backward(whole, None, grad, Broadcast(g.shape, own))
