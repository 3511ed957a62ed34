"""separable_conv2d by its definition: conv2d's definition, twice."""

from __future__ import annotations

from typing import Any

from numseg.ops.conv2d import reference as conv2d
from numseg.ops.separable_conv2d.geometry import Geometry
from numseg.typing import Array


def forward(
    x: Array,
    w_depthwise: Array,
    w_pointwise: Array,
    b: Array | None,
    b_depthwise: Array | None,
    g: Geometry,
) -> Array:
    z = conv2d.forward(x, w_depthwise, b_depthwise, g.depthwise)
    return conv2d.forward(z, w_pointwise, b, g.pointwise)


def backward(
    x: Array,
    w_depthwise: Array,
    w_pointwise: Array,
    b_depthwise: Array | None,
    gy: Array,
    g: Geometry,
) -> tuple[Array, Array, Array, Array, Array]:
    z = conv2d.forward(x, w_depthwise, b_depthwise, g.depthwise)
    gz, gw_pointwise, gb = conv2d.backward(z, w_pointwise, gy, g.pointwise)
    gx, gw_depthwise, gb_depthwise = conv2d.backward(x, w_depthwise, gz, g.depthwise)
    return gx, gw_depthwise, gw_pointwise, gb, gb_depthwise


def matrix(
    w_depthwise: Array,
    w_pointwise: Array,
    b: Array | None,
    b_depthwise: Array | None,
    g: Geometry,
) -> Any:
    """The product of the two convolutions' matrices."""
    return conv2d.matrix(w_pointwise, b, g.pointwise) @ conv2d.matrix(
        w_depthwise, b_depthwise, g.depthwise
    )
