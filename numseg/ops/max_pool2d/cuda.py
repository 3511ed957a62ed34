"""max_pool2d on CUDA. A thread owns one output pixel, or, backward, one input pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.cuda.launch import (
    Bytes,
    Longs,
    Reals,
    end_window,
    first_window,
    kernel,
    launch,
    next_plane,
    quotient,
    thread,
)
from numseg.kernels.pooling.maxima import ties, wins
from numseg.ops.max_pool2d.geometry import Geometry


@kernel
def _forward(x: Reals, y: Reals, switches: Longs, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    top, left = int32(p * g.sy - g.pt), int32(q * g.sx - g.pl)
    bottom, right = int32(min(top + g.kh * g.dy, g.h)), int32(min(left + g.kw * g.dx, g.w))
    while top < 0:
        top = int32(top + g.dy)
    while left < 0:
        left = int32(left + g.dx)
    lowest = x.dtype.type(-np.inf)
    while plane < g.n * g.c:
        best, there, across = lowest, int32(-1), int32(-1)
        row = top
        while row < bottom:
            column = left
            while column < right:
                value = x[(plane * g.h + row) * g.w + column]
                candidate = not g.drop_nan or value == value
                if candidate and (there < 0 or wins(value, best)):
                    best, there, across = value, row, column
                column = int32(column + g.dx)
            row = int32(row + g.dy)
        if g.first_nan and top < bottom and left < right:
            value = x[(plane * g.h + top) * g.w + left]
            if value != value:
                best, there, across = value, top, left
        if there < 0 or (best <= g.lowest and g.lowest > lowest):
            best, there = g.lowest, int32(-1)
        place = -1
        if there >= 0:
            n = quotient(plane, g.c)
            place = n * g.image + (plane - n * g.c) * g.channel + there * g.row + across * g.column
        y[plane * g.oh * g.ow + pixel] = best
        switches[plane * g.oh * g.ow + pixel] = place
        plane = next_plane(plane)


@kernel
def _mark(x: Reals, y: Reals, switches: Longs, tied: Bytes, g: Geometry) -> None:
    """Which pixels are as large as the winner. A thread owns a window."""
    pixel, plane = thread()
    if pixel >= g.oh * g.ow:
        return
    p = quotient(pixel, g.ow)
    q = int32(pixel - p * g.ow)
    while plane < g.n * g.c:
        window = plane * g.oh * g.ow + pixel
        i = int32(0)
        while i < g.kh:
            j, row = int32(0), int32(p * g.sy - g.pt + i * g.dy)
            while j < g.kw:
                column = int32(q * g.sx - g.pl + j * g.dx)
                mark = 0
                inside = 0 <= row < g.h and 0 <= column < g.w and switches[window] >= 0
                if inside and ties(x[(plane * g.h + row) * g.w + column], y[window]):
                    mark = 1
                tied[(window * g.kh + i) * g.kw + j] = mark
                j = int32(j + 1)
            i = int32(i + 1)
        plane = next_plane(plane)


@kernel
def _backward(switches: Longs, gy: Reals, gx: Reals, g: Geometry) -> None:
    """Gather: the windows over a pixel are visited in row-major order, as the CPU adds them."""
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    p0, p1 = first_window(row + g.pt, g.kh, g.sy, g.dy), end_window(row + g.pt, g.sy, g.oh)
    q0, q1 = first_window(column + g.pl, g.kw, g.sx, g.dx), end_window(column + g.pl, g.sx, g.ow)
    while plane < g.n * g.c:
        n = quotient(plane, g.c)
        mine = n * g.image + (plane - n * g.c) * g.channel + row * g.row + column * g.column
        total = gx.dtype.type(0)
        p = p0
        while p < p1:
            q = q0
            while q < q1:
                window = (plane * g.oh + p) * g.ow + q
                if switches[window] == mine:
                    total += gy[window]
                q = int32(q + 1)
            p = int32(p + 1)
        gx[plane * g.h * g.w + pixel] = total
        plane = next_plane(plane)


@kernel
def _share(tied: Bytes, gy: Reals, gx: Reals, g: Geometry) -> None:
    """The gradient of what is tied, gathered like that of the winners."""
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    column = int32(pixel - row * g.w)
    p0, p1 = first_window(row + g.pt, g.kh, g.sy, g.dy), end_window(row + g.pt, g.sy, g.oh)
    q0, q1 = first_window(column + g.pl, g.kw, g.sx, g.dx), end_window(column + g.pl, g.sx, g.ow)
    while plane < g.n * g.c:
        total = gx.dtype.type(0)
        p = p0
        while p < p1:
            i = quotient(row + g.pt - p * g.sy, g.dy)
            q = q0
            while q < q1:
                j = quotient(column + g.pl - q * g.sx, g.dx)
                window = (plane * g.oh + p) * g.ow + q
                taps = window * g.kh * g.kw
                hit = p * g.sy + i * g.dy == row + g.pt and q * g.sx + j * g.dx == column + g.pl
                if hit and i < g.kh and j < g.kw and tied[taps + i * g.kw + j] != 0:
                    count = int32(0)
                    tap = int32(0)
                    while tap < g.kh * g.kw:
                        if tied[taps + tap] != 0:
                            count = int32(count + 1)
                        tap = int32(tap + 1)
                    total += gy[window] / gx.dtype.type(count) if g.split else gy[window]
                q = int32(q + 1)
            p = int32(p + 1)
        gx[plane * g.h * g.w + pixel] = total
        plane = next_plane(plane)


def forward(x: Any, y: Any, switches: Any, tied: Any, g: Geometry) -> None:
    launch(_forward, g.n * g.c, g.oh * g.ow, x, y, switches, g)
    if g.shared:
        launch(_mark, g.n * g.c, g.oh * g.ow, x, y, switches, tied, g)


def backward(switches: Any, tied: Any, gy: Any, gx: Any, g: Geometry) -> None:
    if gx is None:
        return
    if g.shared:
        launch(_share, g.n * g.c, g.h * g.w, tied, gy, gx, g)
    else:
        launch(_backward, g.n * g.c, g.h * g.w, switches, gy, gx, g)
