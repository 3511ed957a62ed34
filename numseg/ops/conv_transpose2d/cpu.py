"""conv_transpose2d on the CPU: conv2d's kernels in the other direction.

The geometry is the convolution's, so our output is its x, and our input its y.
"""

from __future__ import annotations

from numseg.kernels.jit import kernel
from numseg.kernels.parallel import launch
from numseg.ops.conv2d import Geometry
from numseg.ops.conv2d import cpu as conv2d
from numseg.typing import Array


@kernel()
def _add_bias(start, stop, b, y):
    for plane in range(start, stop):
        out, bias = y[plane], b[plane % len(b)]
        for i in range(len(out)):
            out[i] += bias


def forward(x: Array, w: Array, b: Array | None, y: Array, g: Geometry) -> None:
    conv2d.grad_x(w, x, y, g)
    if b is not None:
        launch(_add_bias, g.n * g.c, y.size, b, y.reshape(g.n * g.c, g.h * g.w))


def backward(
    x: Array,
    w: Array,
    gy: Array,
    gx: Array | None,
    gw: Array | None,
    gb: Array | None,
    g: Geometry,
) -> None:
    if gx is not None:
        conv2d.forward(gy, w, None, gx, g)
    if gw is not None:
        conv2d.grad_w(gy, x, gw, g)
    if gb is not None:
        conv2d.grad_b(gy, gb)
