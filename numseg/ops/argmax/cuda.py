"""argmax and argmin on CUDA. A thread owns a result, and reads what it is a place in."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.elementwise import ROW
from numseg.cuda.launch import Longs, Reals, kernel, launch, next_plane, quotient, thread
from numseg.ops.argmax.geometry import Geometry
from numseg.ops.argmax.rules import wins


@kernel
def _forward(x: Reals, y: Longs, g: Geometry) -> None:
    place, row = thread()
    number = row * ROW + place
    while number < y.size:
        outer = quotient(int32(number), g.inner)
        at = outer * g.size * g.inner + int32(number - outer * g.inner)
        best = -x[at] if g.least else x[at]
        found = int32(0)
        k = int32(1)
        while k < g.size:
            at += g.inner
            value = -x[at] if g.least else x[at]
            if wins(value, best, g.last):
                best, found = value, k
            k = int32(k + 1)
        y[number] = found
        row = next_plane(row)
        number = row * ROW + place


def forward(x: Any, y: Any, g: Geometry) -> None:
    launch(_forward, -(-y.size // ROW), min(y.size, ROW), x, y, g)
