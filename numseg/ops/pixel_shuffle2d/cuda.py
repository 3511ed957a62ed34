"""pixel_shuffle2d on CUDA. A thread owns a pixel of the large image, in either direction."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import Reals, kernel, launch, next_plane, quotient, thread
from numseg.kernels.machine.jit import rule
from numseg.ops.pixel_shuffle2d.geometry import Geometry


@rule
def _source(pixel, g):
    """Of a pixel of plane (n, c): its channel within the group, and its place in there."""
    y = quotient(pixel, g.w * g.r)
    x = int32(pixel - y * g.w * g.r)
    p, q = quotient(y, g.r), quotient(x, g.r)
    channel = int32((y - p * g.r) * g.row + (x - q * g.r) * g.column)
    return channel, int32(p * g.w + q)


@kernel
def _forward(x: Reals, y: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    size = g.h * g.r * g.w * g.r
    if pixel >= size:
        return
    channel, place = _source(pixel, g)
    while plane < g.n * g.c:
        n = quotient(plane, g.c)
        source = n * g.c * g.r * g.r + (plane - n * g.c) * g.channel + channel
        y[plane * size + pixel] = x[source * g.h * g.w + place]
        plane = next_plane(plane)


@kernel
def _backward(gy: Reals, gx: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    size = g.h * g.r * g.w * g.r
    if pixel >= size:
        return
    channel, place = _source(pixel, g)
    while plane < g.n * g.c:
        n = quotient(plane, g.c)
        source = n * g.c * g.r * g.r + (plane - n * g.c) * g.channel + channel
        gx[source * g.h * g.w + place] = gy[plane * size + pixel]
        plane = next_plane(plane)


def forward(x: Any, y: Any, g: Geometry) -> None:
    launch(_forward, g.n * g.c, g.h * g.r * g.w * g.r, x, y, g)


def backward(gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.n * g.c, g.h * g.r * g.w * g.r, gy, gx, g)
