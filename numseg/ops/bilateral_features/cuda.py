"""bilateral_features on CUDA, and spatial_features, which has no colours.

Forward, and the gradient of x: a thread owns a number. The gradient of a width: a part of the sum
over the pixels of all images, in float64, as it is on the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.cuda.launch import (
    Doubles,
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
from numseg.cuda.runtime import empty
from numseg.ops.bilateral_features.geometry import Geometry


@kernel
def _forward(x: Reals, width: Reals, y: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    while plane < g.n * (g.c + 2):
        n = quotient(plane, g.c + 2)
        feature = int32(plane - n * (g.c + 2))
        if feature == 0:
            value = y.dtype.type(int32(pixel - row * g.w))
        elif feature == 1:
            value = y.dtype.type(row)
        else:
            value = x[(n * g.c + feature - 2) * g.h * g.w + pixel]
        y[plane * g.h * g.w + pixel] = value / width[feature]
        plane = next_plane(plane)


@kernel
def _backward(width: Reals, gy: Reals, gx: Reals, g: Geometry) -> None:
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    while plane < g.n * g.c:
        n = quotient(plane, g.c)
        feature = int32(plane - n * g.c + 2)
        there = (n * (g.c + 2) + feature) * g.h * g.w
        gx[plane * g.h * g.w + pixel] = gy[there + pixel] / width[feature]
        plane = next_plane(plane)


@kernel
def _products(x: Reals, gy: Reals, addends: Doubles, g: Geometry, parts: Split) -> None:
    """A part of the sum of ``grad_y`` times a feature's position or colour, over rows of images."""
    feature, part = thread()
    if feature >= g.c + 2:
        return
    while part < parts.parts:
        total = addends.dtype.type(0)
        line = int32(part * parts.terms)
        end = min(int32(line + parts.terms), int32(g.n * g.h))
        while line < end:
            n = quotient(line, g.h)
            row = int32(line - n * g.h)
            here = ((n * (g.c + 2) + feature) * g.h + row) * g.w
            colour = ((n * g.c + feature - 2) * g.h + row) * g.w
            for j in range(g.w):
                value = addends.dtype.type(j if feature == 0 else row)
                if feature > 1:
                    value = addends.dtype.type(x[colour + j])
                total += addends.dtype.type(gy[here + j]) * value
            line = int32(line + 1)
        addends[part * (g.c + 2) + feature] = total
        part = next_plane(part)


@kernel
def _divide(sums: Doubles, width: Reals, gw: Reals) -> None:
    feature, _ = thread()
    if feature < gw.size:
        one = sums.dtype.type(width[feature])
        gw[feature] = gw.dtype.type(-sums[feature] / (one * one))


def forward(x: Any, width: Any, y: Any, g: Geometry) -> None:
    launch(_forward, g.n * (g.c + 2), g.h * g.w, x, width, y, g)


def backward(x: Any, width: Any, gy: Any, gx: Any, gw: Any, g: Geometry) -> None:
    if gx is not None:
        launch(_backward, g.n * g.c, g.h * g.w, width, gy, gx, g)
    if gw is not None:
        width_gradient(x, width, gy, gw, g)


def width_gradient(x: Any, width: Any, gy: Any, gw: Any, g: Geometry) -> None:
    sums = empty((g.c + 2,), np.float64)
    rows, addends = split(sums, g.n * g.h)
    launch(_products, rows.parts, g.c + 2, x, gy, addends, g, rows)
    add_up(addends, sums, rows)
    launch(_divide, 1, g.c + 2, sums, width, gw)
