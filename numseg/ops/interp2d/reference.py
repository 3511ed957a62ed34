"""interp2d by its definition: a crop, then bilinear interpolation with aligned corners."""

from __future__ import annotations

from typing import Any

from numseg.ops.interp2d.geometry import Geometry
from numseg.ops.pad import reference as pad
from numseg.ops.upsample_bilinear2d import reference as upsampling
from numseg.typing import Array


def forward(x: Array, g: Geometry) -> Array:
    return upsampling.forward(pad.forward(x, g.crop), g.upsampling)


def backward(gy: Array, g: Geometry) -> Array:
    return pad.backward(upsampling.backward(gy, g.upsampling), g.crop)


def matrix(g: Geometry) -> Any:
    return upsampling.matrix(g.upsampling) @ pad.matrix(g.crop)
