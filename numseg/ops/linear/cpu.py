"""linear on the CPU: each of its three products is a 1x1 convolution.

``a @ b`` is what a convolution does when the rows of a are its filters, and the rows of b the
channels of an image one pixel high. The factor that is read across is copied once, transposed.
"""

from __future__ import annotations

import numpy as np

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.conv2d import Geometry as ConvolutionGeometry
from numseg.ops.conv2d import cpu as conv2d
from numseg.ops.linear import Geometry
from numseg.typing import Array


@kernel()
def _add_bias(start, stop, b, y):
    for row in range(start, stop):
        for o in range(len(b)):
            y[row, o] += b[o]


@kernel()
def _grad_b(start, stop, gy, gb):
    for o in range(start, stop):
        total = gb.dtype.type(0)
        for row in range(gy.shape[0]):
            total += gy[row, o]
        gb[o] = total


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Geometry) -> None:
    rows = y.reshape(g.rows, g.outputs)
    _product(x.reshape(g.rows, g.inputs), w.T, rows)
    if b is not None:
        launch(_add_bias, g.rows, y.size, b, rows)


def backward(
    x: Array,
    w: Array,
    gy: Array,
    gx: Array | None,
    gw: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    rows, grads = x.reshape(g.rows, g.inputs), gy.reshape(g.rows, g.outputs)
    if gx is not None:
        _product(grads, w, gx.reshape(g.rows, g.inputs))
    if gw is not None:
        _product(grads.T, rows, gw)
    if gb is not None:
        launch(_grad_b, g.outputs, gy.size, grads, gb)


def _product(a: Array, b: Array, out: Array) -> None:
    """``out = a @ b``."""
    (m, k), n = a.shape, b.shape[1]
    image, filters = _dense(b).reshape(1, k, 1, n), _dense(a).reshape(m, k, 1, 1)
    g = ConvolutionGeometry(1, k, 1, n, m, 1, n, 1, 1, 1, 1, 0, 0, 1, 1, 1)
    conv2d.forward(image, filters, None, out.reshape(1, m, 1, n), g)


def _dense(a: Array) -> Array:
    """A contiguous array, read-only as all that kernels read."""
    dense = np.ascontiguousarray(a).view()
    dense.flags.writeable = False
    return dense
