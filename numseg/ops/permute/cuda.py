"""permute on CUDA. A thread owns a number of the result: its place along the last axis, and the
numbers of the rows that it is in."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.broadcast import Row, Walk, places, walk
from numseg.cuda.elementwise import ROW
from numseg.cuda.launch import Reals, kernel, launch, next_plane, thread
from numseg.ops.permute.geometry import Geometry


@kernel
def _move(x: Reals, y: Reals, row: Row, outer: Walk) -> None:
    place, number = thread()
    while number < row.rows:
        here, _, there = places(number, outer)
        i = place
        while i < row.size:
            y[there + i] = x[here + i * row.own]
            i = int32(i + ROW)
        number = next_plane(number)


def forward(x: Any, y: Any, g: Geometry) -> None:
    *outer, last = g.axes
    row = Row(last.size, last.x, 0, y.size // last.size)
    steps = walk([(size, step, 0, y_step) for size, step, y_step in outer])
    launch(_move, row.rows, min(row.size, ROW), x, y, row, steps)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        forward(gy, gx, g.inverse)
