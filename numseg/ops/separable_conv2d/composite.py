"""separable_conv2d on every device: conv2d, twice."""

from __future__ import annotations

from typing import Any

from numseg.faces import gradients, run
from numseg.operator import Spec
from numseg.ops.conv2d import conv2d
from numseg.ops.separable_conv2d.geometry import Geometry
from numseg.typing import Array


def forward(
    x: Array,
    w_depthwise: Array,
    w_pointwise: Array,
    b: Array | None,
    b_depthwise: Array | None,
    y: Spec,
    g: Geometry,
) -> Array:
    z = run(conv2d, g.depthwise, [x, w_depthwise, b_depthwise], Spec(g.hidden, y.dtype))
    return run(conv2d, g.pointwise, [z, w_pointwise, b], y)


def backward(
    x: Array,
    w_depthwise: Array,
    w_pointwise: Array,
    b_depthwise: Array | None,
    gy: Array,
    gx: Spec | None,
    gw_depthwise: Spec | None,
    gw_pointwise: Spec | None,
    gb: Spec | None,
    gb_depthwise: Spec | None,
    g: Geometry,
) -> list[Any]:
    hidden = Spec(g.hidden, gy.dtype)
    z = gw_pointwise and run(conv2d, g.depthwise, [x, w_depthwise, b_depthwise], hidden)
    gz = hidden if gx or gw_depthwise or gb_depthwise else None
    gz, *pointwise = gradients(conv2d, g.pointwise, [z, w_pointwise, gy], gz, gw_pointwise, gb)
    depthwise = gradients(conv2d, g.depthwise, [x, w_depthwise, gz], gx, gw_depthwise, gb_depthwise)
    return [*depthwise[:2], *pointwise, depthwise[2]]
