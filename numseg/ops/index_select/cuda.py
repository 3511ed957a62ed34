"""index_select on CUDA: a thread owns a number of the result, or, backward, one of x, and looks for
its copies."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Longs, Reals, kernel, launch, next_plane, quotient, thread
from numseg.ops.index_select.geometry import Geometry


@kernel
def _take(x: Reals, index: Longs, y: Reals, g: Geometry) -> None:
    number, plane = thread()
    if number >= g.taken * g.inner:
        return
    k = quotient(number, g.inner)
    entry = index[k]
    if entry < 0:
        entry += g.size
    while plane < g.outer:
        source = (plane * g.size + entry) * g.inner + number - k * g.inner
        y[plane * g.taken * g.inner + number] = x[source]
        plane = next_plane(plane)


@kernel
def _add(index: Longs, gy: Reals, gx: Reals, g: Geometry) -> None:
    number, plane = thread()
    if number >= g.size * g.inner:
        return
    entry = quotient(number, g.inner)
    within = number - entry * g.inner
    while plane < g.outer:
        total = gx.dtype.type(0)
        k = int32(0)
        while k < g.taken:
            if index[k] == entry or index[k] + g.size == entry:
                total += gy[(plane * g.taken + k) * g.inner + within]
            k = int32(k + 1)
        gx[plane * g.size * g.inner + number] = total
        plane = next_plane(plane)


def forward(x: Any, index: Any, y: Any, g: Geometry) -> None:
    launch(_take, g.outer, g.taken * g.inner, x, index, y, g)


def backward(index: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        launch(_add, g.outer, g.size * g.inner, index, gy, gx, g)
