"""separable_conv2d on the CPU: conv2d's kernels, twice."""

from __future__ import annotations

import numpy as np

from numseg.ops.conv2d import cpu as conv2d
from numseg.ops.separable_conv2d.geometry import Geometry
from numseg.typing import Array


def forward(
    x: Array,
    w_depthwise: Array,
    w_pointwise: Array,
    b: Array | None,
    b_depthwise: Array | None,
    y: Array,
    g: Geometry,
) -> None:
    z = _hidden(x, w_depthwise, b_depthwise, g)
    conv2d.forward(z, w_pointwise, b, y, g.pointwise)


def backward(
    x: Array,
    w_depthwise: Array,
    w_pointwise: Array,
    b_depthwise: Array | None,
    gy: Array,
    gx: Array | None,
    gw_depthwise: Array | None,
    gw_pointwise: Array | None,
    gb: Array | None,
    gb_depthwise: Array | None,
    g: Geometry,
) -> None:
    if gw_pointwise is not None:
        z = _hidden(x, w_depthwise, b_depthwise, g)
        conv2d.grad_w(z, gy, gw_pointwise, g.pointwise)
    if gb is not None:
        conv2d.grad_b(gy, gb)
    if gx is None and gw_depthwise is None and gb_depthwise is None:
        return
    gz = np.empty(g.hidden, gy.dtype)
    conv2d.grad_x(w_pointwise, gy, gz, g.pointwise)
    gz.flags.writeable = False  # as inputs are, or kernels would be compiled again
    conv2d.backward(x, w_depthwise, gz, gx, gw_depthwise, gb_depthwise, g.depthwise)


def _hidden(x: Array, w_depthwise: Array, b_depthwise: Array | None, g: Geometry) -> Array:
    z = np.empty(g.hidden, x.dtype)
    conv2d.forward(x, w_depthwise, b_depthwise, z, g.depthwise)
    z.flags.writeable = False
    return z
