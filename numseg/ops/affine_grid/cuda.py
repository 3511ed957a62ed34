"""affine_grid on CUDA: a thread owns a pixel's place, or, backward, a part of a sum."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import (
    Reals,
    Split,
    add_up,
    kernel,
    launch,
    next_plane,
    quotient,
    split,
    thread,
)
from numseg.ops.affine_grid.geometry import Geometry
from numseg.ops.affine_grid.rules import unit_place


@kernel
def _forward(theta: Reals, y: Reals, g: Geometry) -> None:
    pixel, n = thread()
    if pixel >= g.h * g.w:
        return
    i = quotient(pixel, g.w)
    zero = y.dtype.type(0)
    row = unit_place(i, g.h, g.align, zero)
    column = unit_place(int32(pixel - i * g.w), g.w, g.align, zero)
    while n < g.n:
        for c in range(2):
            t = 6 * n + 3 * c
            place = theta[t] * column + theta[t + 1] * row + theta[t + 2]
            y[2 * (n * g.h * g.w + pixel) + c] = place
        n = next_plane(n)


@kernel
def _backward(gy: Reals, addends: Reals, parts: Split, g: Geometry) -> None:
    """A plane is a part, a thread in it a number of the gradient."""
    number, part = thread()
    if number >= 6 * g.n:
        return
    n = quotient(number, 6)
    c = quotient(number - 6 * n, 3)
    k = number - 6 * n - 3 * c
    zero = gy.dtype.type(0)
    while part < parts.parts:
        pixel = int32(part * parts.terms)
        end = min(int32(pixel + parts.terms), int32(g.h * g.w))
        total = zero
        while pixel < end:
            i = quotient(pixel, g.w)
            grad = gy[2 * (n * g.h * g.w + pixel) + c]
            if k == 0:
                grad *= unit_place(int32(pixel - i * g.w), g.w, g.align, zero)
            elif k == 1:
                grad *= unit_place(i, g.h, g.align, zero)
            total += grad
            pixel = int32(pixel + 1)
        addends[part * 6 * g.n + number] = total
        part = next_plane(part)


def forward(theta: Any, y: Any, g: Geometry) -> None:
    launch(_forward, g.n, g.h * g.w, theta, y, g)


def backward(gy: Any, gtheta: Any, g: Geometry) -> None:
    if gtheta is not None:
        parts, addends = split(gtheta, g.h * g.w)
        launch(_backward, parts.parts, 6 * g.n, gy, addends, parts, g)
        add_up(addends, gtheta, parts)
