"""local_response_norm on CUDA. A thread owns a number: a pixel of a channel. What is raised to beta
is computed into the place of the result."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda import elementary
from numseg.cuda.launch import Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.runtime import empty
from numseg.ops.local_response_norm.geometry import Geometry
from numseg.ops.local_response_norm.rules import power

elementary.register()


@kernel
def _scale(x: Reals, scale: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.size:
        return
    while plane < g.n * g.c:
        c = int32(plane - quotient(plane, g.c) * g.c)
        j, end = max(-c, -g.before), min(g.after, g.c - 1 - c)
        total = x.dtype.type(0)
        while j <= end:
            value = x[(plane + j) * g.size + pixel]
            total += value * value
            j = int32(j + 1)
        scale[plane * g.size + pixel] = g.k + g.scale * total
        plane = next_plane(plane)


@kernel
def _forward(x: Reals, y: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.size:
        return
    while plane < g.n * g.c:
        i = plane * g.size + pixel
        y[i] = x[i] * power(y[i], g.beta)
        plane = next_plane(plane)


@kernel
def _share(x: Reals, gy: Reals, gx: Reals, shared: Reals, g: Geometry) -> None:
    """``gx``: what comes of a number's own x; ``shared``: what it gives to those of its window, but
    for their x."""
    pixel, plane = thread()
    if pixel >= g.size:
        return
    while plane < g.n * g.c:
        i = plane * g.size + pixel
        scale = gx[i]
        gx[i] = gy[i] * power(scale, g.beta)
        if g.beta < x.dtype.type(0):  # the power grows with the scale: no infinity by infinity
            shared[i] = gy[i] * x[i] * power(scale, g.beta + x.dtype.type(1))
        else:
            shared[i] = gx[i] * x[i] / scale
        plane = next_plane(plane)


@kernel
def _backward(x: Reals, shared: Reals, gx: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.size:
        return
    while plane < g.n * g.c:
        c = int32(plane - quotient(plane, g.c) * g.c)
        j, end = max(-c, -g.after), min(g.before, g.c - 1 - c)
        total = x.dtype.type(0)
        while j <= end:
            total += shared[(plane + j) * g.size + pixel]
            j = int32(j + 1)
        i = plane * g.size + pixel
        gx[i] -= x.dtype.type(2) * g.scale * g.beta * x[i] * total
        plane = next_plane(plane)


def forward(x: Any, y: Any, g: Geometry) -> None:
    launch(_scale, g.n * g.c, g.size, x, y, g)
    launch(_forward, g.n * g.c, g.size, x, y, g)


def backward(x: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        shared = empty(x.shape, x.dtype)
        launch(_scale, g.n * g.c, g.size, x, gx, g)
        launch(_share, g.n * g.c, g.size, x, gy, gx, shared, g)
        launch(_backward, g.n * g.c, g.size, x, shared, gx, g)
