"""conv_transpose2d on CUDA: conv2d's kernels in the other direction, as on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32

from numseg.cuda.arrays import Cuda
from numseg.cuda.launch import Doubles, Reals, kernel, launch, next_plane, quotient, thread
from numseg.cuda.runtime import empty
from numseg.ops.conv2d import cuda as conv2d
from numseg.ops.conv_transpose2d.geometry import Geometry, counts


@kernel
def _average(sums: Reals, rows: Doubles, columns: Doubles, b: Reals, y: Reals, g: Geometry) -> None:
    """A thread owns a pixel of ``sums``, which may be y. In float64, so that it is rounded once."""
    pixel, plane = thread()
    if pixel >= g.h * g.w:
        return
    row = quotient(pixel, g.w)
    stamps = max(rows[row] * columns[int32(pixel - row * g.w)], rows.dtype.type(1))
    while plane < g.n * g.c:
        at = plane * g.h * g.w + pixel
        bias = b[plane - quotient(plane, g.c) * g.c] if b.size > 0 else y.dtype.type(0)
        y[at] = y.dtype.type(sums[at] / stamps + bias)
        plane = next_plane(plane)


def _divide(sums: Any, b: Any, y: Any, g: Geometry) -> None:
    rows, columns = (Cuda.from_host(count.astype(np.float64)) for count in counts(g))
    b = empty((0,), y.dtype) if b is None else b
    launch(_average, g.n * g.c, g.h * g.w, sums, rows, columns, b, y, g)


def forward(x: Any, w: Any, b: Any, y: Any, g: Geometry) -> None:
    conv2d.grad_x(w, x, y, g.convolution, None if g.average else b)
    if g.average:
        _divide(y, b, y, g)


def backward(x: Any, w: Any, gy: Any, gx: Any, gw: Any, gb: Any, g: Geometry) -> None:
    if gb is not None:
        # the convolution's channels are our filters, and its x our gy
        pixels = g.convolution._replace(f=g.c, oh=g.h, ow=g.w)
        conv2d.grad_b(gy, gb, pixels)
    if g.average:
        shares = empty(gy.shape, gy.dtype)
        _divide(gy, None, shares, g)
        gy = shares
    if gx is not None:
        conv2d.forward(gy, w, None, gx, g.convolution)
    if gw is not None:
        conv2d.grad_w(gy, x, gw, g.convolution)
