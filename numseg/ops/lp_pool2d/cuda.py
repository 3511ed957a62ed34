"""lp_pool2d on CUDA. A thread owns a pixel: of y forward, of x backward, where it gathers from the
windows that hold it what forward's threads have left of them."""

from __future__ import annotations

from typing import Any

from numba import int32

from numseg.cuda.launch import (
    Reals,
    end_window,
    first_window,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.cuda.runtime import empty
from numseg.ops.lp_pool2d.geometry import Geometry
from numseg.ops.lp_pool2d.rules import inner_slope, outer_slope, power, root, span


@kernel
def _sums(x: Reals, sums: Reals, scales: Reals, g: Geometry) -> None:
    """The sum of each window, and what it is scaled by."""
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    r0, r1, rows = span(p, g.sy, g.kh, g.pt, g.h, g.pb)
    c0, c1, columns = span(int32(pixel - p * g.ow), g.sx, g.kw, g.pl, g.w, g.pr)
    real = x.dtype.type
    scale = real(g.kh * g.kw) / real(rows * columns) if g.scaled else real(1)
    while plane < g.n * g.c:
        total = real(0)
        r = int32(r0)
        while r < r1:
            c = int32(c0)
            while c < c1:
                total += power(x[(plane * g.h + r) * g.w + c], g.p, g.absolute)
                c = int32(c + 1)
            r = int32(r + 1)
        i = plane * g.oh * g.ow + pixel
        sums[i], scales[i] = scale * total, scale
        plane = next_plane(plane)


@kernel
def _root(sums: Reals, y: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    while plane < g.n * g.c:
        i = plane * g.oh * g.ow + pixel
        y[i] = root(sums[i], g.p)
        plane = next_plane(plane)


@kernel
def _share(sums: Reals, scales: Reals, gy: Reals, g: Geometry) -> None:
    """What each window gives to its pixels, but for their own slopes, in the place of sums."""
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    while plane < g.n * g.c:
        i = plane * g.oh * g.ow + pixel
        sums[i] = gy[i] * (outer_slope(sums[i], g.p) * scales[i])
        plane = next_plane(plane)


@kernel
def _backward(x: Reals, shares: Reals, gx: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    p0, p1 = first_window(row + g.pt, g.kh, g.sy, 1), end_window(row + g.pt, g.sy, g.oh)
    q0, q1 = first_window(column + g.pl, g.kw, g.sx, 1), end_window(column + g.pl, g.sx, g.ow)
    while plane < g.n * g.c:
        i = plane * g.h * g.w + pixel
        slope = inner_slope(x[i], g.p, g.absolute)
        total = x.dtype.type(0)
        p = int32(p0)
        while p < p1:
            q = int32(q0)
            while q < q1:
                total += shares[(plane * g.oh + p) * g.ow + q] * slope
                q = int32(q + 1)
            p = int32(p + 1)
        gx[i] = total
        plane = next_plane(plane)


def forward(x: Any, y: Any, g: Geometry) -> None:
    scales = empty(y.shape, y.dtype)
    launch(_sums, g.n * g.c, g.oh * g.ow, x, y, scales, g)
    launch(_root, g.n * g.c, g.oh * g.ow, y, y, g)


def backward(x: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is not None:
        sums, scales = (empty(gy.shape, gy.dtype) for _ in range(2))
        launch(_sums, g.n * g.c, g.oh * g.ow, x, sums, scales, g)
        launch(_share, g.n * g.c, g.oh * g.ow, sums, scales, gy, g)
        launch(_backward, g.n * g.c, g.h * g.w, x, sums, gx, g)
